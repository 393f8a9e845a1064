"""Windows as `(inputs, targets)`: the order of `order` as a `tf.data.Dataset`.

Every window of a shard starts at a multiple of the stride, so the tokens of a group are kept
as tiles of `stride` tokens, and a window is a few consecutive tiles: gathering tiles costs a
fraction of gathering tokens.
"""

from typing import Literal

import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.reading.batches import Batches
from pipeline.reading.groups import Loaded, Rows, gather_rows
from pipeline.reading.order import Order
from pipeline.reading.spans import ShardFiles, cut_spans, join_spans, read_pieces

Targets = Literal["sequence", "last"]


def make_dataset(
    files: ShardFiles, order: Order, batches: Batches, targets: Targets
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows of every batch, from `start_step` on.

    Returns:
        `(inputs, targets)`: `[rows, seq_len]` int32 each, or `targets` `[rows]` int32.
    """
    start_row = batches.start_step * batches.host_rows
    all_rows = make_rows(files, order, Rows(batches), start_row=start_row, targets=targets)
    return all_rows.rebatch(batches.host_rows, drop_remainder=True)


def make_rows(
    files: ShardFiles, order: Order, rows: Rows, *, start_row: int, targets: Targets
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows from the `start_row`-th on, in any portions.

    Returns:
        `(inputs, targets)`: `[n, seq_len]` int32 each, or `targets` `[n]` int32.

    Raises:
        OptionError: `targets` is neither `sequence` nor `last`.
    """
    if targets not in ("sequence", "last"):
        raise OptionError(f"`targets` must be sequence or last, got {targets!r}")
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
