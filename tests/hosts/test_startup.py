"""startup: signals and the clock end what does not come back, and nothing else."""

import os
import signal
import time

import pytest
from training import start_child

from trainer.hosts.environment import Hosts
from trainer.hosts.startup import LOST_HOST_CODE, starting

# A lock that is taken twice: neither a signal nor Python ends the wait, as in TensorFlow's calls.
DEAF = """
import ctypes, sys
from trainer.hosts import startup
from trainer.hosts.environment import Hosts
startup._GRACE_SECONDS = 0.2
hosts = Hosts(addresses=("a:1", "b:1"), index=0, source="TF_CONFIG") if sys.argv[1] == "2" else None
with startup.starting(hosts, timeout=float(sys.argv[2])):
    mutex = ctypes.create_string_buffer(64)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    print("deaf", flush=True)
    lock(mutex)
    lock(mutex)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("count", ["1", "2"])
def test_a_signal_ends_a_call_that_hears_nothing(number: int, count: str) -> None:
    with start_child(DEAF, count, "60") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "deaf\n"
        time.sleep(0.2)  # so that the lock is taken twice
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, "Traceback" in err) == (128 + number, False), err
    assert "textreel: stopped before the first step of this start\n" in err


def test_the_clock_ends_what_several_hosts_wait_for() -> None:
    with start_child(DEAF, "2", "0.3") as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == LOST_HOST_CODE
    assert (
        "textreel: error: all workers were there, but did not begin to train together within 0.3 "
        "seconds; see what their logs say, and start all workers, or give a longer "
        "--startup_timeout\n"
    ) in err


def test_python_ends_in_order_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []

    def start() -> None:
        with starting(None, timeout=60):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(60)
            finally:
                cleaned.append(True)

    with pytest.raises(SystemExit) as ended:
        start()
    assert (ended.value.code, cleaned) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_clock_stops_with_the_start() -> None:
    hosts = Hosts(addresses=("a:1", "b:1"), index=0, source="TF_CONFIG")
    with starting(hosts, timeout=0.2):
        pass
    time.sleep(0.4)  # this process is still there
