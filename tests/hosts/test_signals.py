"""signals: noted once, obeyed at once the second time, and the exit code after them."""

import os
import signal
import threading

import pytest

from trainer.hosts.signals import StopRequest, exit_after


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_handlers_come_back(number: int) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    request = StopRequest()
    with request.listening():
        assert request.signal_number is None
        os.kill(os.getpid(), number)
        assert request.signal_number == number
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_another_thread_hears_of_it_while_the_main_thread_runs_no_handlers() -> None:
    before = signal.set_wakeup_fd(-1)
    heard = threading.Event()
    with StopRequest().listening(heard.set):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert heard.wait(10)
    assert signal.set_wakeup_fd(before) == before == -1
    quiet = threading.Event()
    with StopRequest().listening(quiet.set):
        pass
    assert not quiet.is_set()


def test_a_signal_that_a_program_handles_itself_stops_nothing() -> None:
    before = signal.signal(signal.SIGUSR2, lambda number, frame: None)
    request, heard = StopRequest(), threading.Event()
    try:
        with request.listening(heard.set):
            os.kill(os.getpid(), signal.SIGUSR2)
            assert not heard.wait(0.5)
            os.kill(os.getpid(), signal.SIGUSR1)
            assert heard.wait(10)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert request.signal_number == signal.SIGUSR1


def test_a_second_signal_is_obeyed_at_once() -> None:
    request = StopRequest()
    with request.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert request.signal_number == signal.SIGTERM


def test_outside_of_the_main_thread_nothing_changes() -> None:
    seen = []

    def listen() -> None:
        with StopRequest().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_exit_codes() -> None:
    with pytest.raises(SystemExit) as error:
        exit_after(signal.SIGTERM)
    assert error.value.code == 143
    with pytest.raises(KeyboardInterrupt):
        exit_after(signal.SIGINT)
