"""demo: the numbers beside the model's, and the text that it trains on."""

import math
from pathlib import Path

import pytest
from corpora import make, write

from pipeline import UserError
from trainer.commands.demo import baselines, original_bytes, python_sources


def test_baselines_are_those_of_the_counts(tmp_path: Path) -> None:
    # 3/4 "a", 1/4 "b" and one separator: ids 1, 2 and 0.
    corpus = make(
        tmp_path, "aaab" * 100, vocabulary="char", splits={"train": 0.5, "validation": 0.5},
        record_tokens=7,
    )  # fmt: skip
    uniform, frequencies = baselines(corpus)
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert (train.num_tokens, validation.num_tokens) == (201, 201)
    assert uniform == pytest.approx(201 * math.log2(3) / 200)
    bits = -(150 * math.log2(151 / 204) + 50 * math.log2(51 / 204) + math.log2(2 / 204)) / 200
    assert frequencies == pytest.approx(bits)


def test_what_the_original_needs() -> None:
    # 10 MB and 100 characters: (10 MB - 40) / 3 windows of (40 + 1) x 100 booleans.
    assert original_bytes(10_000_000, 100) == 3_333_320 * 41 * 100


def test_sources_are_ascii_and_not_of_installed_packages(tmp_path: Path) -> None:
    wanted = write(tmp_path / "a/b.py", "x = 1")
    write(tmp_path / "site-packages/c.py", "x = 1")
    write(tmp_path / "d.py", "é")
    write(tmp_path / "e.txt", "x")
    assert python_sources(tmp_path) == [wanted]
    with pytest.raises(UserError, match="holds no Python sources"):
        python_sources(tmp_path / "absent")
