"""start: what cannot be trained is refused before anything is written."""

from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus, UserError
from trainer.loop import train


def test_another_corpus_and_other_settings_are_refused_and_nothing_changes(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=2), quiet=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="this vocabulary is not the one the run was trained on"):
        train(tiny(byte_corpus.directory, tmp_path, steps=4), quiet=True)
    with pytest.raises(UserError, match="`units`: the run has 16, now 32; `seed`: the run has 0"):
        train(tiny(char_corpus.directory, tmp_path, steps=4, units=32, seed=5), quiet=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
