"""Datasets of TFDS as sources."""

from pathlib import Path

import pytest
from corpora import documents, prepared
from samples import ROWS, dataset, each_of

from pipeline import UserError
from pipeline.text.formats import TfdsExamples
from pipeline.text.formats.tfds import read_examples
from pipeline.text.pieces import Candidate, Reading

SPLITS = {"train": 0.5, "test": 0.5}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("dataset"), ROWS)


def test_a_dataset_is_a_source(tmp_path: Path, data_dir: Path) -> None:
    source = f"tfds:{data_dir}:train"
    corpus = prepared(tmp_path, source, splits=SPLITS, text_field="text", shard_bytes=2000)
    train, test = documents(corpus, "train"), documents(corpus, "test")
    assert sorted(train + test) == sorted(row.encode() for row in ROWS)
    assert len(corpus.splits["train"].shards) > 1


def test_its_name_is_that_of_the_dataset(data_dir: Path) -> None:
    found = TfdsExamples.find(
        Candidate(path=f"tfds:{data_dir}:train", name=""), Reading(text_field="text")
    )
    assert found is not None
    assert found.name == "tfds:rows/1.0.0:train"
    assert found.path == str(data_dir)
    assert found.length == len(ROWS)
    assert found.source_bytes >= len(ROWS)
    assert found.cut(7, 100) == 7


def test_examples_come_in_the_order_of_the_files(data_dir: Path) -> None:
    """Over the ends of batches and of files, from the middle on."""
    rows = [(row, text.encode()) for row, text in enumerate(ROWS)]
    assert each_of(read_examples(str(data_dir), "train", "text", 0, len(ROWS))) == rows
    assert each_of(read_examples(str(data_dir), "train", "text", 45, 130)) == rows[45:130]


@pytest.mark.parametrize(
    ("source", "field", "message"),
    [
        ("tfds:{}:test", "text", r"no split 'test'; the splits are: train"),
        ("tfds:{}:train", "n", r"the field 'n' is not a text"),
        ("tfds:{}:train", "body", r"no field 'body'; the fields are: '(text|n)', '(text|n)'"),
        ("tfds:{}:train", None, r"holds rows: name the field"),
        ("tfds:train", "text", r"is not of the form tfds:NAME:SPLIT"),
        ("tfds:no_such_dataset_here:train", "text", r"no such dataset"),
    ],
)
def test_what_cannot_be_read_is_named(
    data_dir: Path, source: str, field: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        TfdsExamples.find(
            Candidate(path=source.format(data_dir), name=""), Reading(text_field=field)
        )


def test_other_paths_are_of_other_formats() -> None:
    assert (
        TfdsExamples.find(Candidate(path="/a/tfds:x", name="x"), Reading(text_field="text")) is None
    )
