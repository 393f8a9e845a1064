"""Windows as `(inputs, targets)`: the order of `order` as a `tf.data.Dataset`.

Every window of a shard starts at a multiple of the stride, so the tokens of a group are kept
as tiles of `stride` tokens, and a window is a few consecutive tiles: gathering tiles costs a
fraction of gathering tokens.
"""

import tensorflow as tf

from pipeline.reading.batches import Batches, Targets, declare
from pipeline.reading.graph.groups import Loaded, Rows, gather_rows
from pipeline.reading.graph.segments import mask_other_documents, segment
from pipeline.reading.graph.spans import ShardFiles, cut_spans, join_spans, read_pieces
from pipeline.reading.order import Order


def make_dataset(
    files: ShardFiles, order: Order, batches: Batches, *, separator_id: int
) -> tf.data.Dataset:
    """Returns the dataset of a host's rows of every batch, from `start_step` on.

    Args:
        files: the split.
        order: position -> window.
        batches: what is asked for.
        separator_id: of the vocabulary.

    Returns:
        As of `Corpus.windows`.
    """
    start_row, targets = batches.start_step * batches.host_rows, batches.targets
    all_rows = make_rows(files, order, Rows(batches), start_row=start_row, targets=targets)
    dataset = declare(
        all_rows.rebatch(batches.host_rows, drop_remainder=True),
        batches.num_left(order.num_windows),
    )
    if batches.segments:
        return dataset.map(lambda x, y: ((x, *segment(x, separator_id)), y))
    if not batches.across_documents:
        return dataset.map(lambda x, y: mask_other_documents(x, y, separator_id))
    return dataset


def make_rows(
    files: ShardFiles, order: Order, rows: Rows, *, start_row: int, targets: Targets
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows from the `start_row`-th on, in any portions.

    Returns:
        `(inputs, targets)`: `[n, seq_len]` int32 each, or `targets` `[n]` int32.
    """
    windows = files.windows

    def load(first_windows: tf.Tensor, num_windows: tf.Tensor) -> Loaded:
        pieces = cut_spans(files, *join_spans(files, first_windows, num_windows))
        tiles, first_tiles = read_pieces(files, pieces)
        return Loaded(files.window_at(pieces.shard, pieces.first_token), first_tiles, tiles)

    def gather(tiles: tf.Tensor, tile: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        indices = tile[:, None] + tf.range(windows.num_tiles, dtype=tf.int64)
        tokens = tf.gather(tiles, indices)  # [n, num_tiles, stride]
        tokens = tf.reshape(tokens, [-1, windows.num_tiles * windows.stride])
        inputs = tf.cast(tokens[:, : windows.seq_len], tf.int32)
        if targets == "last":
            return inputs, tf.cast(tokens[:, windows.seq_len], tf.int32)
        return inputs, tf.cast(tokens[:, 1 : windows.num_tokens], tf.int32)

    return gather_rows(
        order,
        rows,
        start_row=start_row,
        row_bytes=windows.num_tokens * tf.int32.size,
        load=load,
        gather=gather,
    )
