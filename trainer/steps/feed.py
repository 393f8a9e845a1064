"""Feeds: a corpus's windows as distributed batches; hosts and replicas get their own rows.

The rows of global batch `k` depend on `k` alone (see `pipeline.reading.order`), so a feed starts at
any step and the number of hosts and replicas changes nothing but who gets which rows.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.reading.batches import Batching
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import lane_starts
from trainer.config import TrainConfig
from trainer.config.splits import evaluation_stride, measured_seq_len, num_measured_windows

_WARM_UP_TOKENS = 512  # that a lane reads before it is measured
_FORGETTING = 0.01  # the part of lanes that begin a batch with nothing known


def training_feed(
    strategy: tf.distribute.Strategy, corpus: Corpus, config: TrainConfig, *, start_step: int
) -> tf.distribute.DistributedDataset:
    """Endless batches in training order, windows or lanes.

    Args:
        strategy: whose hosts and replicas share each batch.
        corpus: where the windows come from.
        config: the run's options.
        start_step: the step of the first batch.

    Returns:
        A distributed dataset of `(inputs, targets)`: a replica gets `[rows, seq_len]` int32
        and `[rows, seq_len]` or `[rows]` int32, with static shapes. With lanes the inputs are
        `(tokens, resets)`, `resets` being `[rows, seq_len]` bool: where a document begins, and
        where one in a hundred rows does.
    """

    def host_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batches = {
            "seq_len": config.seq_len,
            "batch_size": config.batch_size,
            "start_step": start_step,
            "host_index": context.input_pipeline_id,
            "host_count": context.num_input_pipelines,
        }
        if config.lanes:
            dataset = corpus.lanes(config.train_split, **batches)
            rows = _rows_of_host(config, context.input_pipeline_id, context.num_input_pipelines)
            dataset = _some_forget(dataset, config, rows, start_step=start_step)
        else:
            dataset = corpus.windows(
                config.train_split,
                **batches,
                stride=config.window_stride,
                seed=config.seed,
                targets=config.targets,
            )
        return _rows_for_replicas(dataset, context, config.batch_size)

    return strategy.distribute_datasets_from_function(host_dataset)


def _some_forget(
    dataset: tf.data.Dataset, config: TrainConfig, rows: np.ndarray, *, start_step: int
) -> tf.data.Dataset:
    """Lets some lanes begin a batch with nothing known, as every text that is generated begins.

    Of a single document they would never again after step 0, and a model may fail from there for
    ever: one cell that every lane has had switched on since then is enough. As in Melis et al.
    2018, https://arxiv.org/abs/1707.05589. Which ones is a function of the seed and the step.
    """

    def reset(step: tf.Tensor, batch: tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]) -> Any:
        (tokens, resets), targets = batch
        chances = tf.random.stateless_uniform([config.batch_size], [config.seed, step])
        forget = tf.gather(chances, rows) < _FORGETTING
        first = tf.range(config.seq_len) == 0
        return (tokens, resets | (forget[:, tf.newaxis] & first)), targets

    return dataset.enumerate(start_step).map(reset)


def validation_feed(
    strategy: tf.distribute.Strategy, corpus: Corpus, config: TrainConfig
) -> tuple[tf.distribute.DistributedDataset, int]:
    """Each target of the validation split once, again and again: windows in text order, or lanes.

    Args:
        strategy: whose hosts and replicas share each batch.
        corpus: where the text comes from.
        config: the run's options.

    Returns:
        A distributed dataset of `(inputs, targets, weights)`, without end, and the number of
        batches of one measurement. Inputs and targets are as of `training_feed`, but lanes
        may have fewer than `seq_len` tokens (see `measured_seq_len`). `weights` are of the
        targets' shape, float32: 1 for each target of the split, once, and 0 for the others.
    """
    weighted = _weighted_lanes if config.lanes else _weighted_windows
    num_batches = _num_validation_batches(corpus, config)

    def host_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = weighted(corpus, config, context.input_pipeline_id, context.num_input_pipelines)
        dataset = dataset.take(num_batches).repeat()
        return _rows_for_replicas(dataset, context, config.batch_size)

    return strategy.distribute_datasets_from_function(host_dataset), num_batches


def _num_validation_batches(corpus: Corpus, config: TrainConfig) -> int:
    if config.lanes:
        return sum(_lane_batches(corpus, config))
    return -(-num_measured_windows(corpus, config) // config.batch_size)


def _lane_batches(corpus: Corpus, config: TrainConfig) -> tuple[int, int]:
    """The batches in which lanes warm up, and those in which they then read the split once."""
    num_tokens = corpus.splits[config.evaluated_split].num_tokens
    seq_len = measured_seq_len(config, num_tokens)
    longest = -(-num_tokens // config.batch_size)
    num_measured = -(-longest // seq_len)
    return min(-(-_WARM_UP_TOKENS // seq_len), num_measured), num_measured


def _weighted_windows(
    corpus: Corpus, config: TrainConfig, host_index: int, host_count: int
) -> tf.data.Dataset:
    """A host's rows of batches of windows, endless, with their weights.

    Rows beyond the split weigh 0. For example with 5 windows and batches of 2: `[1 1] [1 1] [1 0]`.
    """
    num_windows = num_measured_windows(corpus, config)
    rows = _rows_of_host(config, host_index, host_count)

    def add_weights(batch_index: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        inputs, targets = batch
        counts = tf.cast(batch_index * config.batch_size + rows < num_windows, tf.float32)
        # As many axes as the targets have.
        counts = tf.reshape(counts, [-1, 1] if targets.shape.rank == 2 else [-1])
        return inputs, targets, tf.broadcast_to(counts, targets.shape)

    dataset = corpus.windows(
        config.evaluated_split,
        seq_len=config.seq_len,
        batch_size=config.batch_size,
        stride=evaluation_stride(config),
        seed=None,
        host_index=host_index,
        host_count=host_count,
        targets=config.targets,
    )
    return dataset.enumerate().map(add_weights)


def _weighted_lanes(
    corpus: Corpus, config: TrainConfig, host_index: int, host_count: int
) -> tf.data.Dataset:
    """A host's rows of batches of lanes, endless, with their weights.

    A lane knows nothing where it begins, in the midst of the text. So its first batches weigh 0,
    and it reads as far into the next lane's text, where it predicts what that one did not. With
    a split of 12 tokens, 3 lanes and `seq_len=2`, were one such batch enough, the weights of the
    first two would be `[0 0] [1 1] [1 1]`, of the last `[0 0] [1 0] [1 1]`: nothing follows the
    last token.
    """
    num_tokens = corpus.splits[config.evaluated_split].num_tokens
    seq_len = measured_seq_len(config, num_tokens)
    skipped = _lane_batches(corpus, config)[0] * seq_len
    rows = _rows_of_host(config, host_index, host_count)
    starts = lane_starts(config.batch_size, num_tokens)
    lengths = np.diff(starts, append=num_tokens)[rows, np.newaxis]
    starts = starts[rows, np.newaxis]

    def add_weights(batch_index: tf.Tensor, batch: tuple[Any, tf.Tensor]) -> Any:
        places = batch_index * seq_len + tf.range(seq_len, dtype=tf.int64)
        is_measured = (skipped <= places) & (places < skipped + lengths)
        is_last = (starts + places) % num_tokens == num_tokens - 1
        return *batch, tf.cast(is_measured & ~is_last, tf.float32)

    dataset = corpus.lanes(
        config.evaluated_split,
        seq_len=seq_len,
        batch_size=config.batch_size,
        host_index=host_index,
        host_count=host_count,
    )
    return dataset.enumerate().map(add_weights)


def _rows_of_host(config: TrainConfig, host_index: int, host_count: int) -> np.ndarray:
    """The rows of the global batch that a host has, `[rows]` int64."""
    batching = Batching(
        batch_size=config.batch_size, seed=None, host_index=host_index, host_count=host_count
    )
    return batching.places


def _rows_for_replicas(
    dataset: tf.data.Dataset, context: tf.distribute.InputContext, batch_size: int
) -> Any:
    """Cuts a host's batches, which have no end, into one a local replica, in order.

    That they have none must be known: hosts would else agree before every step on whether all of
    them have a batch.
    """
    if context.num_replicas_in_sync > context.num_input_pipelines:
        rows = batch_size // context.num_replicas_in_sync
        infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        dataset = dataset.rebatch(rows, drop_remainder=True).apply(infinite)
    return dataset.prefetch(tf.data.AUTOTUNE)
