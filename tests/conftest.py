import os

# Before TensorFlow: its C++ log would bury what a failing test says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from pathlib import Path

import corpora
import hypothesis
import pytest

from pipeline import Corpus

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is no defect
hypothesis.settings.load_profile("any machine")

SPLITS = {"train": 0.9, "validation": 0.1}


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
