"""feed: static shapes, every validation window once, splits that cannot work."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import tokens_of
from training import run_child, tiny

from pipeline import Corpus
from pipeline.reading.batches import Batching
from trainer.hosts.strategy import make_strategy
from trainer.models import build_model
from trainer.steps.feed import training_feed, validation_feed
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
from trainer.steps.feed import training_feed, validation_feed
config = tiny(sys.argv[1], "unused", strategy="mirrored")
strategy = make_strategy(config)
assert strategy.num_replicas_in_sync == 2
corpus = open_corpus(config.corpus)
print(training_feed(strategy, corpus, config, start_step=0).cardinality)
print(validation_feed(strategy, corpus, config)[0].cardinality)
"""


class Host:
    """One of several hosts of a replica each, as a strategy asks it for its dataset."""

    def __init__(self, index: int, count: int) -> None:
        self._context = tf.distribute.InputContext(count, index, num_replicas_in_sync=count)

    def distribute_datasets_from_function(self, make: Any) -> tf.data.Dataset:
        return make(self._context)


@pytest.mark.parametrize("lanes", [False, True])
def test_no_feed_of_a_host_has_an_end(lane_corpus: Corpus, lanes: bool) -> None:
    config = tiny(lane_corpus.directory, "unused", lanes=lanes)
    host: Any = Host(0, 2)
    feeds = [
        training_feed(host, lane_corpus, config, start_step=3),
        validation_feed(host, lane_corpus, config)[0],
    ]
    assert [int(feed.cardinality()) for feed in feeds] == [tf.data.INFINITE_CARDINALITY] * 2


def test_hosts_together_forget_what_one_host_does(lane_corpus: Corpus) -> None:
    config = tiny(lane_corpus.directory, "unused", lanes=True, batch_size=64)

    def resets(host: Any) -> np.ndarray:
        feed = training_feed(host, lane_corpus, config, start_step=3)
        return np.stack([found for (_, found), _ in feed.take(20).as_numpy_iterator()])

    hosts = [resets(Host(index, 2)) for index in range(2)]
    together = resets(Host(0, 1))
    options: Any = {"batch_size": 64, "seed": None, "host_count": 2}
    rows = [Batching(host_index=index, **options).places for index in range(2)]
    for own, places in zip(hosts, rows, strict=True):
        np.testing.assert_array_equal(own, together[:, places])
    assert (hosts[0] != hosts[1]).any()


def test_no_feed_has_an_end_on_which_hosts_would_have_to_agree(char_corpus: Corpus) -> None:
    config = tiny(char_corpus.directory, "unused")
    strategy = make_strategy(config)
    assert training_feed(strategy, char_corpus, config, start_step=0).cardinality == -1
    assert validation_feed(strategy, char_corpus, config)[0].cardinality == -1
    assert run_child(TWO_REPLICAS, char_corpus.directory).split() == ["-1", "-1"]
    assert tf.data.INFINITE_CARDINALITY == -1


def test_the_split_comes_again_and_again_with_weights_that_end_with_it(char_corpus: Corpus) -> None:
    config = tiny(char_corpus.directory, "unused", batch_size=7)
    feed, num_batches = validation_feed(make_strategy(config), char_corpus, config)
    batches = itertools.islice(feed, 2 * num_batches)
    *rows, weights = map(np.concatenate, zip(*batches, strict=True))
    num_windows = char_corpus.num_windows("validation", seq_len=16)
    assert 7 * (num_batches - 1) < num_windows < 7 * num_batches
    counts = np.arange(7 * num_batches) < num_windows
    np.testing.assert_array_equal(np.split(weights, 2)[0], np.tile(counts[:, np.newaxis], 16))
    for part in (*rows, weights):
        first, second = np.split(part, 2)
        np.testing.assert_array_equal(first, second)


def test_some_lanes_begin_a_batch_with_nothing_known(lane_corpus: Corpus) -> None:
    """About one in a hundred, by the seed and the step alone; all else is as the corpus has it."""

    def forgotten(seed: int, start_step: int, stop_step: int) -> np.ndarray:
        """`[steps, lanes]` bool: which ones forget where the text itself does not say so."""
        config = tiny(lane_corpus.directory, "unused", lanes=True, batch_size=64, seed=seed)
        feed = training_feed(make_strategy(config), lane_corpus, config, start_step=start_step)
        options = {"seq_len": config.seq_len, "batch_size": 64, "start_step": start_step}
        expected = lane_corpus.lanes("train", **options)
        found = []
        for ours, theirs in itertools.islice(
            zip(feed, expected, strict=False), stop_step - start_step
        ):
            ((tokens, resets), targets), ((its_tokens, its_resets), its_targets) = ours, theirs
            np.testing.assert_array_equal(tokens, its_tokens)
            np.testing.assert_array_equal(targets, its_targets)
            np.testing.assert_array_equal(resets[:, 1:], its_resets[:, 1:])
            assert not (its_resets & ~resets).numpy().any()
            found.append((resets & ~its_resets).numpy()[:, 0])
        return np.array(found)

    found = forgotten(0, 0, 300)
    assert 100 < found.sum() < 300  # of 19,200; a document begins at 2 or 3 of 100 places
    assert len(np.unique(found, axis=0)) > 50
    np.testing.assert_array_equal(forgotten(0, 120, 300), found[120:])
    assert (forgotten(1, 0, 300) != found).any()


@pytest.mark.parametrize("batch_size", [1, 2, 7, 50, 500])
def test_lanes_hold_each_token_of_the_split_once_and_go_on(
    lane_corpus: Corpus, batch_size: int
) -> None:
    """Whether lanes are longer than they warm up, shorter, or as short as a token or two."""
    config = tiny(lane_corpus.directory, "unused", lanes=True, batch_size=batch_size)
    feed, num_batches = validation_feed(make_strategy(config), lane_corpus, config)
    tokens = tokens_of(lane_corpus, "validation").astype(np.int32)
    found = []
    for _ in range(2):
        batches = list(itertools.islice(feed, num_batches))
        inputs, resets, targets, counts = (
            np.concatenate(parts, axis=1)
            for parts in zip(*((x, r, y, w) for (x, r), y, w in batches), strict=True)
        )
        assert set(np.unique(counts)) <= {0, 1}
        chosen = counts == 1
        (skipped,) = set(counts.argmax(axis=1))
        assert skipped >= min(512, len(tokens) // batch_size)
        # Lane 0 begins with the split, so the first that counts is as far from its beginning.
        places = np.roll(np.arange(len(tokens)), -skipped)
        places = places[places < len(tokens) - 1]
        np.testing.assert_array_equal(inputs[chosen], tokens[places])
        np.testing.assert_array_equal(targets[chosen], tokens[places + 1])
        begins = np.roll(tokens, 1) == lane_corpus.vocabulary.separator_id
        np.testing.assert_array_equal(resets[chosen], begins[places])
        # What counts follows what a lane has read, without a gap.
        np.testing.assert_array_equal(targets[:, :-1], inputs[:, 1:])
        found.append(inputs)
    assert len(batches[-1][2][0]) == min(16, len(tokens) // batch_size)
    np.testing.assert_array_equal(*found)
