"""feed: static shapes, every validation window once, splits that cannot work."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import make, text
from training import run_child, tiny

from pipeline import Corpus, UserError
from pipeline.errors import OptionError
from trainer.hosts.strategy import make_strategy
from trainer.loop import train
from trainer.models import build_model
from trainer.steps.feed import training_feed, validation_feed, without_validation
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_the_step_of_a_run_compiles_and_every_shape_is_static(
    char_corpus: Corpus, targets: str
) -> None:
    """What a TPU will ask for."""
    config = tiny(char_corpus.directory, "unused", targets=targets, jit="on")
    strategy = make_strategy(config)
    feed = training_feed(strategy, char_corpus, config, start_step=0)
    assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(feed.element_spec))
    with strategy.scope():
        runner = StepRunner(
            ReplicaStep(
                strategy,
                build_model(config, char_corpus.vocabulary.size, use_cudnn=False),
                Adam(),
                StepRecipe(
                    batch_size=config.batch_size,
                    tokens_per_row=config.seq_len if targets == "sequence" else 1,
                    jit=True,
                ),
            )
        )
    metrics = runner.run_steps(iter(feed), tf.constant(2))
    assert 0 < float(metrics.loss) < 10
    assert int(metrics.bad_index) == -1


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipeline import open_corpus
from training import tiny
from trainer.hosts.strategy import make_strategy
from trainer.steps.feed import training_feed, validation_feed, without_validation
config = tiny(sys.argv[1], "unused", strategy="mirrored")
strategy = make_strategy(config)
assert strategy.num_replicas_in_sync == 2
corpus = open_corpus(config.corpus)
print(training_feed(strategy, corpus, config, start_step=0).cardinality)
print(validation_feed(strategy, corpus, config)[0].cardinality)
"""


def test_no_feed_has_an_end_on_which_hosts_would_have_to_agree(char_corpus: Corpus) -> None:
    config = tiny(char_corpus.directory, "unused")
    strategy = make_strategy(config)
    assert training_feed(strategy, char_corpus, config, start_step=0).cardinality == -1
    assert validation_feed(strategy, char_corpus, config)[0].cardinality == -1
    assert run_child(TWO_REPLICAS, char_corpus.directory).split() == ["-1", "-1"]
    assert tf.data.INFINITE_CARDINALITY == -1


def test_weights_end_with_the_split(char_corpus: Corpus) -> None:
    config = tiny(char_corpus.directory, "unused", batch_size=7)
    feed, num_batches = validation_feed(make_strategy(config), char_corpus, config)
    batches = itertools.islice(feed, num_batches + 2)
    weights = np.concatenate([weights for *_, weights in batches])
    num_windows = char_corpus.num_windows("validation", seq_len=16)
    assert 7 * (num_batches - 1) < num_windows < 7 * num_batches
    np.testing.assert_array_equal(weights, np.arange(len(weights)) < num_windows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "all"}, "has no split 'all', only train, validation; change"),
        ({"validation_split": "test", "eval_every": 1}, "turn evaluation off with --eval_every 0"),
        ({"seq_len": 10_000}, "one window needs 10001 in one shard; lower --seq_len"),
        (
            {"seq_len": 2000, "eval_every": 1, "validation_split": "validation"},
            "`validation_split`: the split 'validation' of",
        ),
        (
            {"seq_len": 2000, "eval_every": 1, "early_stopping": 1},
            "is shorter than one window, so there is no validation loss to stop by; name another",
        ),
    ],
)
def test_splits_that_cannot_work(
    char_corpus: Corpus, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError) as error:
        train(tiny(char_corpus.directory, run, **changes), quiet=True)
    assert message in str(error.value)
    assert not run.exists()


def test_without_a_validation_split_a_run_goes_on_and_says_so(
    char_corpus: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whether it is missing, or too short; and the same command goes on with such a run."""
    without = make(tmp_path, text(3000), splits={"train": 0.5, "test": 0.5})
    run = tmp_path / "run"
    for steps in (2, 4):
        result = train(tiny(without.directory, run, steps=steps, eval_every=1))
        assert (result.step, result.evaluation) == (steps, None)
        assert "has no split 'validation', so the run is not evaluated" in capfd.readouterr()[0]
    config = tiny(without.directory, "unused", eval_every=1)
    assert without_validation(without, config)[0].eval_every == 0
    short = tiny(char_corpus.directory, "unused", eval_every=1, seq_len=2000)
    changed, note = without_validation(char_corpus, short)
    assert changed.eval_every == 0
    assert note is not None
    assert "the split 'validation' of" in note
    assert "is shorter than one window" in note
    named = {"eval_every": 1, "validation_split": "validation"}
    for corpus, options in ((char_corpus, {"eval_every": 1}), (without, {}), (without, named)):
        kept = tiny(corpus.directory, "unused", **options)
        assert without_validation(corpus, kept) == (kept, None)


def test_a_split_that_is_too_short_for_the_lanes(lane_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match=r"must be at most the \d+ tokens of the split, got 8 lanes of 2000; use fewer",
    ):
        train(tiny(lane_corpus.directory, tmp_path / "run", lanes=True, seq_len=2000), quiet=True)
    assert not (tmp_path / "run").exists()
