"""Feeds: a corpus's windows as distributed batches; hosts and replicas get their own rows.

The rows of global batch `k` depend on `k` alone (see `pipeline.reading.order`), so a feed starts at
any step and the number of hosts and replicas changes nothing but who gets which rows.
"""

from typing import Any

import tensorflow as tf

from pipeline.reading.corpus import Corpus
from trainer.config import TrainConfig
from trainer.config.splits import evaluation_stride


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
        `(tokens, resets)`, `resets` being `[rows, seq_len]` bool.
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


def validation_feed(
    strategy: tf.distribute.Strategy, corpus: Corpus, config: TrainConfig
) -> tuple[tf.distribute.DistributedDataset, int]:
    """Every window of the validation split exactly once, in text order, again and again.

    Rows beyond the split weigh 0. For example with 5 windows and batches of 2: weights
    `[1 1] [1 1] [1 0] [1 1] …`.

    Args:
        strategy: whose hosts and replicas share each batch.
        corpus: where the windows come from.
        config: the run's options.

    Returns:
        A distributed dataset of `(inputs, targets, weights)`, `weights` being `[rows]`
        float32, without end, and the number of batches that hold the split once.
    """
    stride = evaluation_stride(config)
    num_windows = corpus.num_windows(config.evaluated_split, seq_len=config.seq_len, stride=stride)
    num_batches = -(-num_windows // config.batch_size)

    def host_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
        rows = config.batch_size // context.num_input_pipelines
        row_index = tf.range(rows, dtype=tf.int64) + context.input_pipeline_id * rows

        def add_weights(
            batch_index: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            positions = batch_index * config.batch_size + row_index
            return (*batch, tf.cast(positions < num_windows, tf.float32))

        dataset = corpus.windows(
            config.evaluated_split,
            seq_len=config.seq_len,
            batch_size=config.batch_size,
            stride=stride,
            seed=None,
            host_index=context.input_pipeline_id,
            host_count=context.num_input_pipelines,
            targets=config.targets,
        )
        dataset = dataset.enumerate().map(add_weights).take(num_batches).repeat()
        return _rows_for_replicas(dataset, context, config.batch_size)

    return strategy.distribute_datasets_from_function(host_dataset), num_batches


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
