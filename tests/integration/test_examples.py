"""`examples/`: each runs, and learns something; those of other libraries where these are."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import text, write

from pipeline import PrepareOptions, prepare

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With records of the usual length, of which the last ones of the shards are shorter."""
    folder = tmp_path_factory.mktemp("examples")
    source = write(folder / "text.txt", text(120_000))
    options = PrepareOptions(shard_bytes=40_000, splits={"train": 0.9, "validation": 0.1})
    prepare([source], folder / "corpus", options, workers=1, array_record=True)
    return folder / "corpus"


def run(name: str, corpus: Path, *flags: str) -> str:
    needs = {"torch": "torch", "jax": "jax", "keras_on": "jax"}
    for start, library in needs.items():
        if name.startswith(start) and importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    command = [sys.executable, str(EXAMPLES / name), str(corpus), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def losses(printed: str) -> list[float]:
    return [float(found) for found in re.findall(r"\bloss:? ([\d.]+)", printed)]


@pytest.mark.parametrize("name", ["fit.py", "keras_on_jax.py"])
def test_fit_over_epochs(corpus: Path, name: str) -> None:
    printed = run(name, corpus, "--epochs", "2", "--steps", "15")
    first, last = losses(printed)
    assert last < first < 6
    assert ("val_loss" in printed) == (name == "fit.py")


def test_the_data_service(corpus: Path) -> None:
    (loss,) = losses(run("data_service.py", corpus, "--steps", "15"))
    assert loss < 6


def test_torch_trains_on_the_same_batches_with_any_number_of_workers(corpus: Path) -> None:
    """But for the order of a batch's rows, and so for the rounding of sums."""
    alone = losses(run("torch_batches.py", corpus, "--steps", "60"))
    shared = losses(run("torch_batches.py", corpus, "--steps", "60", "--workers", "2"))
    assert alone == pytest.approx(shared, abs=0.002)
    assert len(alone) == 2
    assert alone[1] < 4.5


def test_torch_reads_records_of_any_length(corpus: Path) -> None:
    printed = run("torch_records.py", corpus, "--batches", "12")
    (num_records,) = map(int, re.findall(r"(\d+) records", printed))
    batches = re.findall(r"\((\d+), 4095\), (\d+) targets", printed)
    assert len(batches) == 12
    assert num_records > 8
    assert any(int(targets) < int(rows) * 4095 for rows, targets in batches), "a short record"


def test_jax_trains(corpus: Path) -> None:
    first, last = losses(run("jax_batches.py", corpus, "--steps", "100"))
    assert last < first < 5


def test_the_notebook_was_run_to_its_end() -> None:
    """In order, without an error, and small."""
    path = EXAMPLES / "batches.ipynb"
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert all(output["output_type"] != "error" for output in outputs)
    assert path.stat().st_size < 100_000
