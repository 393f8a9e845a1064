from pathlib import Path

import pytest
from corpora import files, text, write
from resuming import OPTIONS

from pipeline import PrepareOptions, prepare


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write(folder / "large.txt", text(1_500_000))
    for index in range(100):
        write(folder / f"{index}.txt", text(3000, seed=index))
    return folder


@pytest.fixture(scope="session")
def straight(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a prepare that never stopped."""
    output = tmp_path_factory.mktemp("straight") / "out"
    prepare([sources], output, PrepareOptions(**OPTIONS))
    return files(output)
