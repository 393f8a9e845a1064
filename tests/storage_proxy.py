"""Proxy before a storage server: counts what passes, and fails as networks and stores do."""

import contextlib
import dataclasses
import functools
import http.client
import http.server
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import trustme

GOOGLE_HOSTS = ("storage.googleapis.com", "www.googleapis.com")
_IDLE_SECONDS = 2  # Azurite closes what was idle for 5, which clients would see as a failure
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A request that came: its number since the last `reset` (from 0), and what it asks for."""

    number: int
    method: str
    path: str
    range: str | None
    body_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a request.

    Attributes:
        delay: seconds before anything else.
        status: the answer, such as 503; the server never sees the request.
        reset: the connection is reset; the server never sees the request.
        kill: the process that is killed (SIGKILL) before the server sees the request.
        kill_after: likewise, once the server has answered; the answer is lost.
        lose_answer: the server does what is asked, and the connection is reset.
        cut: the bytes of the answer's content after which the connection is reset.
    """

    delay: float = 0
    status: int | None = None
    reset: bool = False
    kill: int | None = None
    kill_after: int | None = None
    lose_answer: bool = False
    cut: int | None = None


class Proxy:
    """Stands before a server of plain HTTP; answers CONNECT too, for clients that speak TLS alone.

    Args:
        upstream: the server's address, `http://…`.
        certificates: a folder for `ca.pem`, which clients behind CONNECT must trust.

    Attributes:
        url: the proxy's own address, `http://127.0.0.1:PORT`.
        fault: decides on each request; None lets it pass.
        requests: what came since the last `reset`.
        received: bytes of content that clients sent since then.
        sent: bytes of content that they were sent.
    """

    def __init__(self, upstream: str, certificates: Path) -> None:
        self.upstream = upstream
        self.ca = certificates / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*GOOGLE_HOSTS).configure_cert(self.context)
        self._lock = threading.Lock()
        handler = functools.partial(_Handler, self)
        self._server = _Server(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self.reset()

    def reset(self) -> None:
        """Lets everything pass, and counts from 0."""
        with self._lock:
            self.fault: Callable[[Request], Fault | None] = lambda request: None
            self.requests: list[Request] = []
            self.received = self.sent = 0

    def count(self, method: str | None = None, path: str = "") -> int:
        """Counts the requests of a method whose path contains a text."""
        return sum(
            method in (None, request.method) and path in request.path for request in self.requests
        )

    def took(self, method: str, path: str, range_: str | None, body_bytes: int) -> Fault:
        """Notes a request and says what happens to it."""
        with self._lock:
            request = Request(
                number=len(self.requests),
                method=method,
                path=path,
                range=range_,
                body_bytes=body_bytes,
            )
            self.requests.append(request)
            self.received += body_bytes
            fault = self.fault
        return fault(request) or Fault()

    def gave(self, num_bytes: int) -> None:
        """Notes an answer."""
        with self._lock:
            self.sent += num_bytes

    @contextlib.contextmanager
    def running(self) -> Iterator["Proxy"]:
        """Serves meanwhile."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that are killed reset their connections."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, proxy: Proxy, *arguments: object) -> None:
        self._proxy = proxy
        self._secure, self._used = False, 0.0
        address = urlsplit(proxy.upstream)
        assert address.hostname is not None
        self._upstream = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        """Ends the client's TLS here: it believes that it speaks to the host it named."""
        self.send_response(200)
        self.end_headers()
        self.connection = self._proxy.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]
        self._secure = True
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self._upstream.close()
        if self._secure:
            with contextlib.suppress(OSError):
                self.connection.close()

    def _pass_on(self) -> None:
        body = self._body()
        range_ = self.headers.get("Range") or self.headers.get("x-ms-range")  # Azure's name
        fault = self._proxy.took(self.command, self.path, range_, len(body))
        time.sleep(fault.delay)
        if fault.kill is not None:
            os.kill(fault.kill, signal.SIGKILL)
        if fault.kill is not None or fault.reset:
            self._reset()
            return
        if fault.status is not None:
            content = b"" if self.command == "HEAD" else b"fault"
            self._answer(fault.status, [("Retry-After", "0")], content, fault)
            return
        kept = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        kept["Content-Length"] = str(len(body))
        if time.monotonic() > self._used + _IDLE_SECONDS:
            self._upstream.close()  # it is opened anew: the server may have closed it by now
        try:
            self._upstream.request(self.command, self.path, body, kept)
            answer = self._upstream.getresponse()
            content = answer.read()
            self._used = time.monotonic()
        except (OSError, http.client.HTTPException):
            self._upstream.close()
            self._reset()
            return
        if fault.kill_after is not None:
            os.kill(fault.kill_after, signal.SIGKILL)
        if fault.kill_after is not None or fault.lose_answer:
            self._reset()
            return
        self._answer(answer.status, answer.getheaders(), content, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, fault: Fault
    ) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # that of an answer to HEAD, whose content is elsewhere
                continue
            if name.lower() in _HOP_BY_HOP:
                continue
            if name.lower() == "location" and self._secure:
                value = value.replace("http://", "https://", 1)
            elif name.lower() == "location":
                value = value.replace(self._proxy.upstream, self._proxy.url, 1)
            self.send_header(name, value)
        if status not in (204, 304) and status >= 200:
            self.send_header("Content-Length", length)
        self.end_headers()
        if fault.cut is not None and fault.cut < len(content):
            self.wfile.write(content[: fault.cut])
            self._reset()
            return
        self._proxy.gave(len(content))  # before the client has it, and looks at the count
        self.wfile.write(content)

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
            self.connection.close()
        self.close_connection = True
