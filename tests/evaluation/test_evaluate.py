"""assess: the figures of training again, on other splits and corpora, and errors."""

import tomllib
from pathlib import Path

import pytest
import tensorflow as tf
import tomli_w
from corpora import make, text
from training import read_events, tiny

from pipeline import Corpus, UserError
from trainer.evaluation.evaluate import evaluate, num_characters
from trainer.loop import train


def test_it_gives_the_figures_of_training_and_each_option_changes_them(
    byte_corpus: Corpus, tmp_path: Path
) -> None:
    result = train(tiny(byte_corpus.directory, tmp_path / "run", eval_every=12), quiet=True)
    assessment = evaluate(tmp_path / "run")
    assert assessment.evaluation == result.evaluation
    assert assessment.num_windows == byte_corpus.num_windows("validation", seq_len=16)
    split = byte_corpus.splits["validation"]
    ratio = assessment.bits_per_character / assessment.evaluation.bits_per_byte
    assert ratio == pytest.approx(split.text_bytes / num_characters(byte_corpus, "validation"))
    assert ratio > 1  # the text is not ASCII
    assert str(assessment).endswith(" bits/character")

    other = make(tmp_path, text(3_000, seed=7), splits={"validation": 1.0})
    losses = {
        assessment.evaluation.loss,
        evaluate(tmp_path / "run", split="train").evaluation.loss,
        evaluate(tmp_path / "run", corpus=other.directory).evaluation.loss,
    }
    assert len(losses) == 3


def test_it_works_on_the_devices_that_there_are(
    byte_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"steps": 2, "eval_every": 2, "accumulate_steps": 4, "sample_tokens": 0}
    result = train(tiny(byte_corpus.directory, tmp_path, **options), quiet=True)
    file = tmp_path / "run.toml"
    for strategy in ("mirrored", "multi_worker"):  # one device is here
        settings = tomllib.loads(file.read_text()) | {"strategy": strategy}
        file.write_text(tomli_w.dumps(settings))
        assert evaluate(tmp_path).evaluation == result.evaluation
    # Three GPUs, if they were there, could not share a batch of 8.
    found = [tf.config.PhysicalDevice(f"GPU:{index}", "GPU") for index in range(3)]
    listed = tf.config.list_physical_devices
    monkeypatch.setattr(
        tf.config,
        "list_physical_devices",
        lambda kind=None: found if kind == "GPU" else listed(kind),
    )
    assert evaluate(tmp_path).evaluation == result.evaluation


@pytest.mark.parametrize("model", ["gru", "transformer", "own_models:functional"])
def test_it_gives_the_figures_of_training_for_every_kind_of_model(
    byte_corpus: Corpus, tmp_path: Path, model: str
) -> None:
    options = {"model": model, "embedding_dim": None, "steps": 2, "eval_every": 2}
    config = tiny(byte_corpus.directory, tmp_path, **options, sample_tokens=0, layers=1)
    result = train(config, quiet=True)
    assert evaluate(tmp_path, allow_code=True).evaluation == result.evaluation


def test_the_best_checkpoint_is_taken_that_of_the_lowest_validation_loss(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    # A large step size makes the loss go up at first.
    options = {"steps": 3, "eval_every": 1, "learning_rate": 1.0, "dropout": 0.0}
    config = tiny(char_corpus.directory, tmp_path, **options)
    result = train(config, quiet=True)
    losses = read_events(tmp_path)["validation/loss"]
    best = evaluate(tmp_path).evaluation.loss
    assert best == pytest.approx(min(losses.values()))
    assert result.evaluation is not None
    newest = evaluate(tmp_path, checkpoint="newest").evaluation.loss
    assert newest == pytest.approx(result.evaluation.loss)
    assert best < result.evaluation.loss


@pytest.mark.parametrize("vocabulary", ["byte", "char", "bpe:300"])
def test_characters_are_counted(tmp_path: Path, vocabulary: str) -> None:
    content = text(3_000)
    corpus = make(tmp_path, content, vocabulary=vocabulary, splits={"train": 1.0})
    assert num_characters(corpus, "train") == len(content)


def test_what_cannot_be_evaluated(char_corpus: Corpus, byte_corpus: Corpus, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError, match=r"`run` .* is not the directory of a run"):
        evaluate(run)
    train(tiny(char_corpus.directory, run, steps=1), quiet=True)
    with pytest.raises(UserError, match="has another vocabulary than the run"):
        evaluate(run, corpus=byte_corpus.directory)
    with pytest.raises(UserError, match=r"'test' in .*; it has train, validation; .* `--split`"):
        evaluate(run, split="test")
