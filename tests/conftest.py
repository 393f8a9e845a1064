import os

# Before TensorFlow: its C++ log would bury what a failing test says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import sys
from collections.abc import Iterator
from pathlib import Path

import corpora
import hypothesis
import pytest
import storage
import storage_disk  # noqa: F401  `disk://` is there

from pipeline import Corpus

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is no defect
hypothesis.settings.load_profile("any machine")

SPLITS = {"train": 0.9, "validation": 0.1}


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test of binary data is named by the argument, not by the data.

    A gzip header holds the second at which it was written: two processes that collect the tests
    would give one test two names, and pytest-xdist then runs none.
    """
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="session")
def char_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """9,000 characters to train on and 1,000 to evaluate on."""
    directory = tmp_path_factory.mktemp("char_corpus")
    return corpora.make(directory, corpora.text(10_000), vocabulary="char", splits=SPLITS)


@pytest.fixture(scope="session")
def byte_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same of bytes, of another text."""
    directory: Path = tmp_path_factory.mktemp("byte_corpus")
    return corpora.make(directory, corpora.text(10_000, seed=1), splits=SPLITS)


@pytest.fixture(scope="session")
def lane_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Many documents, of 30 to 80 characters."""
    content = "\n".join(
        corpora.text(30 + 7 * (i % 8), seed=i).replace("\n", " ") for i in range(150)
    )
    return corpora.make(
        tmp_path_factory.mktemp("lane_corpus"),
        content,
        vocabulary="char",
        document="line",
        splits=SPLITS,
    )


@pytest.fixture(params=["fused", "plain"])
def fused_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands between products is compiled whatever its size, or never; which of both."""
    fewest = 0 if request.param == "fused" else 10**9
    monkeypatch.setattr("trainer.models.parts.fused._FEWEST_ELEMENTS", fewest)
    return str(request.param)


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Store]:
    with storage.google(tmp_path_factory.mktemp("google")) as store:
        yield store


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Store]:
    with storage.s3(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Store]:
    if storage.AZURITE is None:
        pytest.skip("no azurite-blob on the path: npm install --global azurite")
    with storage.azure(tmp_path_factory.mktemp("azure")) as store:
        yield store


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Store]:
    with storage.hub(tmp_path_factory.mktemp("hub")) as store:
        yield store


@pytest.fixture
def google(google_server: storage.Store, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    """Google Cloud Storage, for gcsfs and for TensorFlow's own client."""
    return _reachable(google_server, monkeypatch)


@pytest.fixture
def s3(s3_server: storage.Store, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    return _reachable(s3_server, monkeypatch)


@pytest.fixture
def azure(azure_server: storage.Store, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    return _reachable(azure_server, monkeypatch)


@pytest.fixture
def hub(hub_server: storage.Store, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    """Files by `http://` and `hf://`, to be read only."""
    fsspec = pytest.importorskip("fsspec")
    endpoint = hub_server.environment["HF_ENDPOINT"]
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": endpoint})
    return _reachable(hub_server, monkeypatch)


def _reachable(store: storage.Store, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    """Puts a server into the environment, of subprocesses too, with nothing wrong and no counts."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    for library in ("gcsfs", "s3fs", "adlfs"):  # their listings outlive a test
        for file_system in (
            vars(sys.modules.get(library)).values() if library in sys.modules else ()
        ):
            if hasattr(file_system, "clear_instance_cache"):
                file_system.clear_instance_cache()
    store.proxy.reset()
    return store
