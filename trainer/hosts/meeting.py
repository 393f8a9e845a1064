"""Meeting of hosts, before TensorFlow connects them: all have come, and all want the same.

TensorFlow waits for the others without a word and deaf to signals, and then trains with whatever
each was told. So each host first tells the first one, at the address that TensorFlow will use
next, what it is about to do; the first one answers when all have come.

The messages are lines of JSON: `{"index": …, "wants": {…}}` to the first host, and from it
`{"waiting": TEXT}` now and then, and at last `{"refused": TEXT or null}`. A host that cannot train
sends `{"index": …, "failed": TEXT}`: all are refused.
"""

import contextlib
import errno
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import UserError, first_line
from pipeline.terminal import show
from trainer.hosts.environment import Hosts, find_hosts
from trainer.hosts.signals import StopRequest, exit_after

_WORD_SECONDS = 30.0  # between two words about who is waited for
_LOOK_SECONDS = 0.2  # between two looks at signals and clocks
_TELL_SECONDS = 60.0  # in which a host that cannot train tells the others
_MAX_BYTES = 1 << 20  # of a message; what sends more is no host


class MissingHostError(UserError):
    """Raised where another host did not come in time; a later start may find it."""


def meet(hosts: Hosts, wants: Mapping[str, Any], *, timeout: float) -> None:
    """Waits for all hosts, and returns where all of them want the same.

    Args:
        hosts: the processes that train together.
        wants: what this one is about to do: names, as messages show them -> JSON values.
        timeout: seconds after which it gives up.

    Raises:
        UserError: a host wants something else, which is named; or this one's port is in use.
        MissingHostError: not all have come in time.
        KeyboardInterrupt: SIGINT came meanwhile.
        SystemExit: the same for SIGTERM.
    """
    request = StopRequest()
    clock = _Clock(timeout, request)
    own = json.loads(json.dumps({**wants, "list of workers": hosts.addresses}))
    with request.listening(), _own_port(hosts) as listener:
        refused = (
            _receive(hosts, {"wants": own}, listener, clock)
            if hosts.is_chief
            else _visit(hosts, {"wants": own}, clock)
        )
    if refused is not None:
        raise UserError(refused)


@contextlib.contextmanager
def telling_others(hosts: Hosts | None) -> Iterator[None]:
    """Lets the other hosts know of an error before they have met, so that they do not wait.

    For a minute at most, which it says: some may not have started yet.

    Args:
        hosts: the processes that train together; None for this one alone.
    """
    try:
        yield
    except (UserError, OSError) as error:
        if hosts is not None:
            _tell(hosts, first_line(error))
        raise


def tell_of_usage() -> None:
    """Lets the other hosts, where there are any, know of a command line that cannot be parsed."""
    with contextlib.suppress(UserError):
        if (hosts := find_hosts(os.environ)) is not None:
            _tell(hosts, "its command line cannot be read; its log says why")


def _tell(hosts: Hosts, text: str) -> None:
    show(f"textreel: telling the other workers that this one cannot train: {text}", file=sys.stderr)
    request = StopRequest()
    clock = _Clock(_TELL_SECONDS, request)
    with request.listening(), contextlib.suppress(UserError), _own_port(hosts) as listener:
        if hosts.is_chief:
            _receive(hosts, {"failed": text}, listener, clock)
        else:
            _visit(hosts, {"failed": text}, clock)


class _Clock:
    """How long a host has waited; says so, and ends the wait."""

    def __init__(self, timeout: float, request: StopRequest) -> None:
        self._timeout = timeout
        self._request = request
        self._began = self._said = time.monotonic()

    def shortened(self) -> "_Clock":
        """Another clock, for those who have not come yet, and who will only be refused."""
        return _Clock(min(self._timeout, _TELL_SECONDS), self._request)

    def look(self, waiting: str) -> bool:
        """Says what is waited for where that is due; returns whether it was.

        Raises:
            MissingHostError: it was waited for long enough.
            KeyboardInterrupt: SIGINT came.
            SystemExit: another signal did.
        """
        if self._request.signal_number is not None:
            exit_after(self._request.signal_number)
        now = time.monotonic()
        if now - self._began >= self._timeout:
            raise MissingHostError(
                f"{waiting} did not come within {self._timeout:g} seconds; see what its log says, "
                "and start all workers, or give a longer --startup_timeout"
            )
        if now - self._said < _WORD_SECONDS:
            return False
        self._said = now
        show(f"textreel: waiting for {waiting}, {now - self._began:.0f} s", file=sys.stderr)
        return True


@contextlib.contextmanager
def _own_port(hosts: Hosts) -> Iterator[socket.socket]:
    """Holds this host's port, of all its addresses, as TensorFlow will.

    Raises:
        UserError: something else does.
    """
    address = hosts.addresses[hosts.index]
    port = int(address.rpartition(":")[2])
    try:
        listener = _listen(port)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)  # Python adds to the text of it
        raise UserError(
            f"port {port}, which {hosts.source} gives to this worker ({address}), cannot be used "
            f"({os.strerror(number) if number else error}); end what uses it, or give this "
            "worker another port"
        ) from error
    with listener:
        yield listener


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:  # which is: IPv6 was turned off
                raise
    return socket.create_server(("", port))


def _name(hosts: Hosts, index: int) -> str:
    return f"worker {index} ({hosts.addresses[index]})"


def _receive(
    hosts: Hosts, own: dict[str, Any], listener: socket.socket, clock: _Clock
) -> str | None:
    """Waits for the others at the first host; returns why they cannot train together, or None."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        present: dict[int, _Peer] = {}
        messages = {0: own}
        refused = _failure_text(hosts, messages)
        while len(messages) < hosts.count:
            missing = [_name(hosts, i) for i in range(hosts.count) if i not in messages]
            try:
                is_due = clock.look(", ".join(missing))
            except MissingHostError:
                if refused is None:
                    raise
                break
            if is_due:
                for peer in present.values():
                    peer.send({"waiting": ", ".join(missing)})
            for key, _ in selector.select(_LOOK_SECONDS):
                if key.fileobj is listener:
                    peer = _Peer(stack.enter_context(listener.accept()[0]))
                    selector.register(peer.connection, selectors.EVENT_READ, peer)
                    continue
                peer = key.data
                received = peer.messages()
                if received is None:  # it has gone; another start of it may come
                    selector.unregister(peer.connection)
                    if refused is None:  # else it knows, and is not waited for
                        for index in [index for index, one in present.items() if one is peer]:
                            del present[index], messages[index]
                for message in received or []:
                    index = message.get("index")
                    if type(index) is not int or index < 1 or not _is_complete(message):
                        continue
                    if index in present or index >= hosts.count:
                        peer.send({"refused": _intruder_text(hosts, index)})
                        continue
                    present[index], messages[index] = peer, message
                    if refused is None:
                        refused = _failure_text(hosts, messages)
                        told = list(present.values())
                        clock = clock if refused is None else clock.shortened()
                    else:
                        told = [peer]
                    for one in told if refused is not None else []:
                        one.send({"refused": refused})
        if refused is None:
            refused = _difference_text(hosts, {i: one["wants"] for i, one in messages.items()})
            for peer in present.values():
                peer.send({"refused": refused})
        for peer in present.values():  # who closes last keeps the port for a minute
            with contextlib.suppress(OSError):
                peer.connection.settimeout(5)
                peer.connection.recv(1)
        return refused


def _visit(hosts: Hosts, own: dict[str, Any], clock: _Clock) -> str | None:
    """Tells the first host about this one; returns its answer."""
    host, _, port = hosts.addresses[0].rpartition(":")
    first = waiting = _name(hosts, 0)
    while True:
        try:
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=2)
        except OSError:  # it is not there yet, and nor may its name be
            clock.look(first)
            time.sleep(_LOOK_SECONDS)
            continue
        with connection, selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            peer, waiting = _Peer(connection), first
            peer.send({"index": hosts.index, **own})
            while True:
                clock.look(waiting)
                if not selector.select(_LOOK_SECONDS):
                    continue
                messages = peer.messages()
                if messages is None:
                    break
                for message in messages:
                    if "refused" in message:
                        answer: str | None = message["refused"]
                        return answer
                    waiting = message.get("waiting", waiting)
        time.sleep(_LOOK_SECONDS)


def _is_complete(message: dict[str, Any]) -> bool:
    return isinstance(message.get("wants"), dict) or isinstance(message.get("failed"), str)


def _failure_text(hosts: Hosts, messages: Mapping[int, Mapping[str, Any]]) -> str | None:
    """Names the hosts that cannot train, and why; None where none has said so."""
    texts = [
        f"{_name(hosts, index)} cannot train: {message['failed']}"
        for index, message in messages.items()
        if "failed" in message
    ]
    return f"{'. '.join(texts)}. Correct that, and start all workers anew" if texts else None


def _intruder_text(hosts: Hosts, index: int) -> str:
    if index < hosts.count:
        return f"{_name(hosts, index)} is there already; start every worker once"
    return (
        f"`{hosts.source}` must name the same workers to all, but worker 0 knows {hosts.count}, "
        f"and this one is worker {index}; start all workers anew"
    )


class _Peer:
    """The other end of a connection, and what of its lines has come."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(2)
        self.connection = connection
        self._pending = b""

    def send(self, message: dict[str, Any]) -> None:
        """Sends a line; who has gone is noticed when nothing more can be read."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def messages(self) -> list[dict[str, Any]] | None:
        """Returns the messages that have come; None where there will be no more."""
        try:
            received = self.connection.recv(1 << 16)
            *lines, self._pending = (self._pending + received).split(b"\n")
            messages = [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return None
        if not received or len(self._pending) > _MAX_BYTES:
            return None
        return [message for message in messages if isinstance(message, dict)]


def _difference_text(hosts: Hosts, wants: Mapping[int, Mapping[str, Any]]) -> str | None:
    """Names every host that wants something else than the first, and what; None without one."""
    first = wants[0]
    found = []
    for index in range(1, hosts.count):
        other = wants[index]
        texts = [
            f"{name} is {other.get(name)!r}, that of worker 0 {first.get(name)!r}"
            for name in dict.fromkeys([*first, *other])
            if first.get(name) != other.get(name)
        ]
        if texts:
            found.append(f"{_name(hosts, index)}: its {'; its '.join(texts)}")
    if not found:
        return None
    return (
        f"all workers must train the same run, but these differ: {'. '.join(found)}. Start all "
        "with the same flags, versions and corpus, and with one --output that all of them share"
    )
