"""opening: options, vocabulary and checkpoint of a run agree, and its code needs consent."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from training import tiny

from pipeline import UserError
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from trainer.run.checkpoint import DIRECTORY
from trainer.run.opening import open_run
from trainer.run.storing import store


def made(run: Path, *, saved: dict[str, Any] | None = None, **options: Any) -> Any:
    """A run with a checkpoint of nothing but its identity; `saved` is in that alone."""
    config = tiny("corpus", run, **options)
    strings = {
        "corpus": "c" * 64,
        "vocabulary": ByteVocabulary().fingerprint,
        "settings": json.dumps({**config.identity(), **(saved or {})}),
    }
    variables = {name: tf.Variable(value) for name, value in strings.items()}
    step = tf.Variable(3, dtype=tf.int64)
    store(tf.train.Checkpoint(step=step, **variables), str(run / DIRECTORY), 3)
    (run / "run.toml").write_text(config.to_toml())
    ByteVocabulary().save(run)
    return config


def test_what_belongs_together_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made(tmp_path, saved={"pretrained_embeddings": "d" * 64})
    opened = open_run(tmp_path)
    assert (opened.config, opened.checkpoint) == (config, f"{tmp_path}/{DIRECTORY}/ckpt-3")
    assert opened.vocabulary.fingerprint == ByteVocabulary().fingerprint
    assert capsys.readouterr().err == ""
    (tmp_path / DIRECTORY / "ckpt-9.index").write_bytes(b"")
    assert open_run(tmp_path).checkpoint == opened.checkpoint
    said = capsys.readouterr().err
    assert said.startswith(f"textreel: warning: {tmp_path}/{DIRECTORY}/ckpt-9 is damaged (")


def test_other_options_than_the_checkpoints_are_refused(tmp_path: Path) -> None:
    made(tmp_path, saved={"seq_len": 20})
    with pytest.raises(UserError, match=r"ckpt-3 .*: `seq_len`: the run has 20, the file has 16\."):
        open_run(tmp_path)


def test_another_vocabulary_than_the_checkpoints_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    other = CharVocabulary([ord("a")])
    other.save(tmp_path)
    with pytest.raises(UserError, match=f"that of the file there {other.fingerprint[:16]}; bring"):
        open_run(tmp_path)


def test_a_runs_own_code_needs_consent(tmp_path: Path) -> None:
    made(tmp_path, model="evil:model")
    with pytest.raises(UserError, match="give --model evil:model or --allow_code"):
        open_run(tmp_path)
    assert open_run(tmp_path, allow_code=True).config.model == "evil:model"
