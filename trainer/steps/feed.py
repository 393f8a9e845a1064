"""Feeds: a corpus's windows as distributed batches; hosts and replicas get their own rows.

The rows of global batch `k` depend on `k` alone (see `pipeline.reading.order`), so a feed starts at
any step and the number of hosts and replicas changes nothing but who gets which rows.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from pipeline.errors import UserError
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import check_lanes
from trainer.config import TrainConfig


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
    """Every window of the validation split exactly once, in text order.

    The feed runs on into the next epoch, without end; its surplus rows weigh 0. For example with
    5 windows and batches of 2: weights `[1 1] [1 1] [1 0] [0 0] …`.

    Args:
        strategy: whose hosts and replicas share each batch.
        corpus: where the windows come from.
        config: the run's options.

    Returns:
        A distributed dataset of `(inputs, targets, weights)`, `weights` being `[rows]`
        float32, and the number of batches that hold the split.
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
        dataset = dataset.enumerate().map(add_weights)
        return _rows_for_replicas(dataset, context, config.batch_size)

    return strategy.distribute_datasets_from_function(host_dataset), num_batches


def num_training_windows(corpus: Corpus, config: TrainConfig) -> int:
    """Rows of an epoch: the windows of the training split, or what its lanes read of it."""
    if config.lanes:
        return corpus.splits[config.train_split].num_tokens // config.seq_len
    return corpus.num_windows(
        config.train_split, seq_len=config.seq_len, stride=config.window_stride
    )


def without_validation(corpus: Corpus, config: TrainConfig) -> tuple[TrainConfig, str | None]:
    """Turns evaluation off where no split is named for it and the corpus has none that would do.

    Returns:
        The options, and what is to be said: why, where evaluation was turned off.

    Raises:
        UserError: the run is to be stopped by its evaluations.
    """
    if config.validation_split is not None or not config.eval_every:
        return config, None
    name = config.evaluated_split
    if name not in corpus.splits:
        reason = f"{config.corpus} has no split {name!r}"
    elif not corpus.num_windows(name, seq_len=config.seq_len, stride=evaluation_stride(config)):
        reason = f"the split {name!r} of {config.corpus} is shorter than one window"
    else:
        return config, None
    if config.early_stopping:
        raise UserError(
            f"`early_stopping`: {reason}, so there is no validation loss to stop by; name another "
            "split by --validation_split, or leave --early_stopping out"
        )
    note = (
        f"note: {reason}, so the run is not evaluated: no checkpoint is kept as its best, and no "
        "samples are shown; --validation_split names another split"
    )
    return dataclasses.replace(config, eval_every=0), note


def check_splits(corpus: Corpus, config: TrainConfig) -> None:
    """Refuses splits that are missing or shorter than one window, before anything is made."""
    wanted = [("train_split", config.train_split, config.window_stride)]
    if config.eval_every:
        wanted.append(("validation_split", config.evaluated_split, evaluation_stride(config)))
    for option, name, stride in wanted:
        remedy = "" if option == "train_split" else ", or turn evaluation off with --eval_every 0"
        if name not in corpus.splits:
            raise UserError(
                f"`{option}`: {config.corpus} has no split {name!r}, only "
                f"{', '.join(corpus.splits)}; change --{option}{remedy}"
            )
        if config.lanes and option == "train_split":
            # They run across the ends of shards. No dataset yet: hosts must meet before.
            num_tokens = corpus.splits[name].num_tokens
            check_lanes(num_tokens, num_lanes=config.batch_size, seq_len=config.seq_len)
            continue
        if corpus.num_windows(name, seq_len=config.seq_len, stride=stride) < 1:
            raise UserError(
                f"`{option}`: the split {name!r} of {config.corpus} is too short: it has "
                f"{corpus.splits[name].num_tokens} tokens, one window needs "
                f"{config.seq_len + 1} in one shard; lower --seq_len or prepare more text{remedy}"
            )


def evaluation_stride(config: TrainConfig) -> int:
    """Tokens between validation windows.

    Windows with a target at every place lie end to end, so that each token counts once.
    With targets `"last"` the run's own stride thins them out.
    """
    return config.seq_len if config.targets == "sequence" else config.window_stride


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
