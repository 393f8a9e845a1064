"""Beam without a shared disk: hosts that have nothing in common but a store.

Each host is a folder with a `TMPDIR` and a `HOME` of its own, and a way to the store that counts
its requests.
"""

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import clusters
import corpora
import pytest
import storage
from storage_proxy import Fault, Request
from terminal import ENVIRONMENT

from pipeline import PrepareOptions, prepare
from pipeline.files import join, names_in, read_bytes, write_text

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1800)]  # 25 s of CPU time each
STUCK_SECONDS = 240  # without a request: on a busy machine a worker's imports take long
OPTIONS = ("--vocabulary", "char", "--shard_bytes", "1000", "--record_tokens", "100")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A machine, as far as one machine can have several."""

    folder: Path
    store: storage.Store

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp")}
        return {**self.store.environment, **own}

    @property
    def num_put(self) -> int:
        """How many objects it wrote."""
        return self.store.proxy.count("PUT") + self.store.proxy.count("POST", "/upload/")

    def prepare(self, *arguments: str, hosts: Sequence["Host"]) -> None:
        """Prepares, for as long as one of the hosts asks for something now and then."""
        with open(self.folder / "said", "w+", encoding="utf-8") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "prepare", *arguments],
                env={**ENVIRONMENT, **self.environment},
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            seen, since = -1, time.monotonic()
            try:
                while process.poll() is None:
                    num_requests = sum(host.store.proxy.count() for host in hosts)
                    if num_requests != seen:
                        seen, since = num_requests, time.monotonic()
                    assert time.monotonic() < since + STUCK_SECONDS, f"stuck after {seen} requests"
                    time.sleep(0.1)
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            assert process.returncode == 0, said.read()


@contextlib.contextmanager
def host(folder: Path, store: storage.Store) -> Iterator[Host]:
    (folder / "tmp").mkdir(parents=True)
    with storage.another_way(store, folder) as way:
        yield Host(folder=folder, store=way)


def corpora_of(
    launcher: Host, bucket: str, beam: tuple[str, ...], hosts: Sequence[Host]
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The corpus that a cluster makes of the bucket's texts in the bucket, and one of this disk."""
    sources = f"{bucket}/texts/"
    output = ("-o", f"{bucket}/corpus", *OPTIONS, "--engine", "beam", "--", *beam)
    launcher.prepare(sources, *output, hosts=(launcher, *hosts))
    names = names_in(f"{bucket}/corpus")
    found = {name: read_bytes(join(f"{bucket}/corpus", name)) for name in names}
    options = PrepareOptions(vocabulary="char", shard_bytes=1000, record_tokens=100)
    prepare([sources], launcher.folder / "local", options, workers=1)
    return found, corpora.files(launcher.folder / "local")


def put_texts(bucket: str) -> None:
    write_text(f"{bucket}/texts/large.txt", corpora.text(40_000))
    for index in range(5):
        write_text(f"{bucket}/texts/{index}.txt", corpora.text(200 + 90 * index, seed=index))


def test_dask_on_hosts_that_share_a_store_alone_one_of_them_killed(
    s3: storage.Store, tmp_path: Path
) -> None:
    bucket = s3.new_bucket()
    put_texts(bucket)
    with (
        host(tmp_path / "launcher", s3) as launcher,
        host(tmp_path / "first", s3) as first,
        host(tmp_path / "second", s3) as second,
        clusters.dask_scheduler(launcher.folder, launcher.environment) as scheduler,
        clusters.dask_worker(scheduler, first.folder, first.environment) as victim,
        clusters.dask_worker(scheduler, second.folder, second.environment),
    ):

        def kill(request: Request) -> Fault | None:
            return Fault(kill=victim.pid) if first.num_put == 8 else None

        first.store.proxy.fault = kill
        found, expected = corpora_of(launcher, bucket, scheduler.options, (first, second))
        assert victim.poll() is not None
        assert second.num_put > 8
        assert second.store.proxy.count("GET", ".textreel-") > 0  # the tasks
        assert launcher.store.proxy.count("PUT", ".tfrecord-") == 0
    assert len(expected) > 20
    assert found == expected


def test_a_pool_of_workers_that_share_a_store_alone_with_who_launches(
    google: storage.Store, tmp_path: Path
) -> None:
    bucket = google.new_bucket()
    put_texts(bucket)
    with (
        host(tmp_path / "launcher", google) as launcher,
        host(tmp_path / "service", google) as service,
        host(tmp_path / "workers", google) as workers,
        clusters.job_service(service.folder, service.environment) as jobs,
        clusters.worker_pool(workers.folder, workers.environment) as pool,
    ):
        found, expected = corpora_of(launcher, bucket, (*jobs, *pool.options), (workers,))
        assert workers.num_put > 30
        assert workers.store.proxy.count("GET", ".textreel-") > 0  # the tasks
        assert service.store.proxy.count() == 0
        assert list((workers.folder / "tmp").glob("textreel-*")) == []
    assert found == expected
