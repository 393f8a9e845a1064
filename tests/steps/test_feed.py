"""feed: static shapes, every validation window once, splits that cannot work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from training import tiny

from pipeline import Corpus, UserError
from pipeline.errors import OptionError
from trainer.hosts.strategy import make_strategy
from trainer.loop import train
from trainer.models import build_model
from trainer.steps.feed import training_feed, validation_feed
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_the_step_of_a_run_compiles_and_every_shape_is_static(
    char_corpus: Corpus, targets: str
) -> None:
    """What a TPU will ask for; and several hosts, that a batch always comes."""
    config = tiny(char_corpus.directory, "unused", targets=targets, jit="on")
    strategy = make_strategy(config)
    feed = training_feed(strategy, char_corpus, config, start_step=0)
    assert feed.cardinality == tf.data.INFINITE_CARDINALITY
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


def test_weights_end_with_the_split(char_corpus: Corpus) -> None:
    config = tiny(char_corpus.directory, "unused", batch_size=7)
    feed, num_batches = validation_feed(make_strategy(config), char_corpus, config)
    weights = np.concatenate([weights for *_, weights in feed])
    num_windows = char_corpus.num_windows("validation", seq_len=16)
    assert len(weights) == 7 * num_batches
    assert num_windows % 7
    np.testing.assert_array_equal(weights, np.arange(len(weights)) < num_windows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "all"}, "has no split 'all', only train, validation; change"),
        ({"validation_split": "test", "eval_every": 1}, "turn evaluation off with --eval_every 0"),
        ({"seq_len": 10_000}, "one window needs 10001 in one shard; lower --seq_len"),
        ({"seq_len": 2000, "eval_every": 1}, "`validation_split`: the split 'validation' of"),
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


def test_a_split_that_is_too_short_for_the_lanes(lane_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match=r"must be at most the \d+ tokens of the split, got 8 lanes of 2000; use fewer",
    ):
        train(tiny(lane_corpus.directory, tmp_path / "run", lanes=True, seq_len=2000), quiet=True)
    assert not (tmp_path / "run").exists()
