"""meeting: who is waited for, who wants something else, and how the wait ends."""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from workers import free_ports

from pipeline import UserError
from pipeline.errors import OptionError
from trainer.hosts import meeting
from trainer.hosts.environment import Hosts
from trainer.hosts.meeting import MissingHostError, meet, telling_others

WAIT = """
import sys
from trainer.hosts import meeting
from trainer.hosts.environment import Hosts
meeting._WORD_SECONDS = 0.3
hosts = Hosts(addresses=tuple(sys.argv[2:]), index=int(sys.argv[1]), source="TF_CONFIG")
meeting.meet(hosts, {}, timeout=60)
"""


def make_hosts(count: int) -> list[Hosts]:
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    return [Hosts(addresses=addresses, index=i, source="TF_CONFIG") for i in range(count)]


def outcomes(hosts: list[Hosts], wants: list[dict[str, Any]], delay: float = 0.0) -> list[str]:
    """Lets hosts meet, the last one first; returns what each was told."""

    def one(index: int) -> str:
        time.sleep(delay * (len(hosts) - index))
        try:
            meet(hosts[index], wants[index], timeout=20)
        except UserError as error:
            return str(error)
        return ""

    with concurrent.futures.ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(one, range(len(hosts))))


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_hosts_that_want_the_same_meet_and_their_ports_are_free_again(delay: float) -> None:
    hosts = make_hosts(3)
    for _ in range(2):
        assert outcomes(hosts, [{"--units": 8, "--x": (1, 2)}] * 3, delay) == [""] * 3


def test_who_differs_is_named_to_all() -> None:
    hosts = make_hosts(3)
    wants = [{"--log_every": 10, "corpus": "ab"}, {"--log_every": 10, "corpus": "ab"}]
    told = outcomes(hosts, [*wants, {"--log_every": 7, "corpus": "cd", "version of Keras": "4"}])
    assert (
        told
        == [
            "all workers must train the same run, but these differ: worker 2 "
            f"({hosts[2].addresses[2]}): its --log_every is 7, that of worker 0 10; its corpus is "
            "'cd', that of worker 0 'ab'; its version of Keras is '4', that of worker 0 None. "
            "Start all with the same flags, versions and corpus, and with one --output that all of "
            "them share"
        ]
        * 3
    )


def test_lists_of_workers_that_differ() -> None:
    hosts = make_hosts(2)
    other = (hosts[0].addresses[0], hosts[1].addresses[1].replace("127.0.0.1", "localhost"))
    told = outcomes([hosts[0], dataclasses.replace(hosts[1], addresses=other)], [{}, {}])
    assert all("its list of workers is ['127.0.0.1:" in text for text in told)


@pytest.mark.parametrize("index", [0, 1])
def test_a_host_that_never_comes_is_named_and_then_given_up(
    index: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(meeting, "_WORD_SECONDS", 0.3)
    hosts = make_hosts(2)
    missing = f"worker {1 - index} ({hosts[0].addresses[1 - index]})"
    with pytest.raises(MissingHostError, match=r"did not come within 1 seconds; .*--startup_tim"):
        meet(hosts[index], {}, timeout=1)
    words = capfd.readouterr().err.splitlines()
    assert words[0] == f"textreel: waiting for {missing}, 0 s"
    assert len(words) in (2, 3)


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_a_waiting_host_obeys_signals(index: int, number: int, code: int) -> None:
    """Host 2 waits at host 0, which is there, for host 1."""
    hosts = make_hosts(3)
    command = [sys.executable, "-c", WAIT]
    started = [
        subprocess.Popen([*command, str(i), *hosts[0].addresses], stderr=subprocess.PIPE, text=True)
        for i in dict.fromkeys([index, 0] if index == 2 else [index])
    ]
    try:
        assert started[0].stderr is not None
        word = started[0].stderr.readline()
        if index == 2:  # what it waits for, once the first host is there
            while "worker 1 (" not in word:
                word = started[0].stderr.readline()
        assert word.startswith("textreel: waiting for worker "), word
        started[0].send_signal(number)
        assert started[0].wait(timeout=5) == code
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_a_port_in_use_is_named() -> None:
    hosts = make_hosts(2)
    port = int(hosts[1].addresses[1].rpartition(":")[2])
    with socket.create_server(("", port)):
        message = re.escape(
            f"port {port}, which TF_CONFIG gives to this worker (127.0.0.1:{port}), cannot be used "
            "(Address already in use); end what uses it, or give this worker another port"
        )
        with pytest.raises(UserError, match=message):
            meet(hosts[1], {}, timeout=5)


def test_strangers_and_twins_do_not_disturb() -> None:
    hosts = make_hosts(3)
    host, _, port = hosts[0].addresses[0].rpartition(":")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(meet, hosts[0], {}, timeout=20)

        def say(text: bytes) -> socket.socket:
            deadline = time.monotonic() + 10
            while True:
                try:
                    connection = socket.create_connection((host, int(port)))
                    connection.sendall(text)
                    connection.settimeout(5)
                    return connection
                except ConnectionRefusedError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)

        for text in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n{}\n", b'{"index": true}\n', b"\xff\n"):
            say(text).close()
        line = json.dumps({"wants": {}, "index": 1}).encode() + b"\n"
        gone = say(line)
        time.sleep(1)  # or the twin might be read first
        with say(line) as twin:
            assert b"is there already; start every worker once" in twin.recv(1000)
        with say(line.replace(b"1", b"3")) as third:
            assert b"worker 0 knows 3, and this one is worker 3" in third.recv(1000)
        gone.close()
        time.sleep(0.3)
        again = pool.submit(meet, hosts[1], {}, timeout=20)  # the one that has gone
        meet(hosts[2], {}, timeout=20)
        again.result(timeout=10)
        first.result(timeout=10)


@pytest.mark.parametrize("failing", [0, 2])
@pytest.mark.parametrize("delay", [0.0, 0.3, -0.3])
def test_a_host_that_cannot_train_ends_the_wait_of_the_others(
    failing: int, delay: float, capfd: pytest.CaptureFixture[str]
) -> None:
    hosts = make_hosts(3)

    def one(index: int) -> str:
        time.sleep(max(0.0, delay * (3 - index), -delay * index))
        try:
            with telling_others(hosts[index]):
                if index == failing:
                    raise OptionError("`units` must be at least 1, got 0; change --units")
            meet(hosts[index], {}, timeout=300)
        except UserError as error:
            return str(error)
        return ""

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        told = list(pool.map(one, range(3)))
    assert time.monotonic() - began < 30
    own = "`units` must be at least 1, got 0; change --units"
    expected = (
        f"worker {failing} ({hosts[0].addresses[failing]}) cannot train: {own}. Correct that, and "
        "start all workers anew"
    )
    assert told == [own if index == failing else expected for index in range(3)]
    said = capfd.readouterr().err
    assert said == f"textreel: telling the other workers that this one cannot train: {own}\n"


def test_who_never_comes_is_told_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "_TELL_SECONDS", 0.5)
    for index in range(2):
        hosts, began = make_hosts(3), time.monotonic()
        with pytest.raises(OptionError, match="no units"), telling_others(hosts[index]):
            raise OptionError("no units")
        assert 0.4 < time.monotonic() - began < 20


def test_the_first_host_waits_no_longer_for_the_absent_than_to_tell_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meeting, "_TELL_SECONDS", 0.5)
    hosts = make_hosts(3)

    def fail() -> None:
        with contextlib.suppress(OptionError), telling_others(hosts[1]):
            raise OptionError("no units")

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(fail)
        with pytest.raises(UserError, match=r"worker 1 .* cannot train: no units\. Correct that"):
            meet(hosts[0], {}, timeout=300)


@pytest.mark.parametrize("command", [["trainer.task"], ["trainer.cli", "train"]])
def test_a_command_line_that_cannot_be_parsed_is_told(command: list[str]) -> None:
    hosts = make_hosts(2)[0]
    cluster = {"cluster": {"worker": hosts.addresses}, "task": {"type": "worker", "index": 1}}
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--steps=many"],
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        with pytest.raises(UserError, match=r"worker 1 .* its command line cannot be read"):
            meet(hosts, {}, timeout=100)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, "Traceback" in err) == (2, False), err
