"""systems: what a process leaves behind before it is forked, and what it keeps."""

import os
import subprocess
import sys

import pytest
import storage

from pipeline.files import exists, release

THREADS = """
import os, sys
from pipeline.files import exists, release
found = []
for _ in range(20):
    assert not exists(sys.argv[1])
    release()
    found.append(len(os.listdir("/proc/self/task")))
print(*sorted(set(found)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted on Linux alone")
@pytest.mark.parametrize("name", ["google", "s3"])
def test_no_thread_is_left_when_a_process_may_be_forked(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Else the next worker would be spawned, and import everything anew."""
    store: storage.Store = request.getfixturevalue(name)
    child = subprocess.run(
        [sys.executable, "-c", THREADS, f"{store.new_bucket()}/none"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout == "1\n", child.stderr


def test_descriptions_of_services_are_read_once(
    s3: storage.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers share what was read before they were forked: 11 MB."""
    from botocore.loaders import JSONFileLoader

    bucket = s3.new_bucket()
    assert not exists(f"{bucket}/none")
    release()

    def fail(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(JSONFileLoader, "load_file", fail)
    assert not exists(f"{bucket}/none")
