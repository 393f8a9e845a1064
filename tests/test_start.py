"""start: what cannot be trained is refused before anything is written."""

import dataclasses
from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus, UserError
from trainer.config import run_config
from trainer.loop import train
from trainer.start import start_run, start_text


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


def test_a_started_run_is_ready_and_says_what_it_will_do(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    config = tiny(char_corpus.directory, tmp_path, lanes=False)
    run = start_run(config, None, str(tmp_path), quiet=True)
    run.reports.close()
    assert (run.step, run.config, run.agreement.is_chief) == (0, config, True)
    assert run_config(tmp_path) == config
    split = char_corpus.splits["train"]
    num_windows = char_corpus.num_windows("train", seq_len=16)
    text = f"training on {split.num_tokens:,} tokens ({num_windows:,} windows): "
    epochs = f"{12 * 8 / num_windows:.2g}"
    weights = f"{run.assembly.model.count_params():,} weights on 1 replica"
    assert start_text(run) == f"{text}12 steps of 8 windows ({epochs} epochs); {weights}"
    train(dataclasses.replace(config, steps=6), quiet=True)
    resumed = start_run(config, None, str(tmp_path), quiet=True)
    resumed.reports.close()
    assert resumed.step == 6
    assert start_text(resumed).startswith(f"{text}resuming at step 6, 12 steps of 8 windows")
