"""Clusters of this machine, on which Beam runs: processes of their own, which may be killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from storage import free_port
from terminal import ENVIRONMENT

Found = TypeVar("Found")


class Service(NamedTuple):
    """A process, and the options of Beam by which it is found."""

    process: "subprocess.Popen[bytes]"
    options: tuple[str, ...]


@contextlib.contextmanager
def child(
    *command: object, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """A process, ended at the end with those that it started."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**ENVIRONMENT, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=cwd,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], Found], seconds: float = 60) -> Found:
    """Returns what a condition gives as soon as it holds."""
    stop = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < stop, "waited in vain"
        time.sleep(0.01)
    return value


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def job_service(
    folder: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, ...]]:
    """Beam's own job service; gives the options by which it is found."""
    port = free_port()
    command = ("-m", "apache_beam.runners.portability.local_job_service_main", "--port", port)
    with child(*command, cwd=folder, environment=environment):
        wait_for(lambda: answers(port))
        yield "--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{port}"


@contextlib.contextmanager
def worker_pool(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Service]:
    """A pool that starts a job service's workers."""
    port = free_port()
    command = ("-m", "apache_beam.runners.worker.worker_pool_main", "--service_port", port)
    with child(*command, cwd=folder, environment=environment) as process:
        wait_for(lambda: answers(port))
        found = "--environment_type=EXTERNAL", f"--environment_config=127.0.0.1:{port}"
        yield Service(process, found)


@contextlib.contextmanager
def dask_scheduler(folder: Path, environment: dict[str, str] | None = None) -> Iterator[Service]:
    """A scheduler of Dask; workers are added by `dask_worker`."""
    file = folder / "scheduler.json"
    command = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    command += ("--no-dashboard", "--scheduler-file", str(file))
    with child(*command, cwd=folder, environment=environment) as process:
        wait_for(file.exists)
        address = wait_for(lambda: json.loads(file.read_text() or "{}"))["address"]
        runner = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner"
        found = runner, f"--dask_client_address={address}", "--dask_npartitions=20"
        yield Service(process, found)


@contextlib.contextmanager
def dask_worker(
    scheduler: Service, folder: Path, environment: dict[str, str] | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker, which works in a folder."""
    address = scheduler.options[1].partition("=")[2]
    command = ("-m", "distributed.cli.dask_worker", address, "--host", "127.0.0.1")
    command += ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    with child(*command, cwd=folder, environment=environment) as process:
        yield process
