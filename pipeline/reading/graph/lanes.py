"""Lanes: rows that read a split contiguously, for truncated back-propagation.

The split is a ring of `n` tokens. Lane `b` of `B` begins at token `b·n // B` and reads on without
end, so row `b` of batch `k + 1` continues row `b` of batch `k`, no token is left out, and where a
lane is at any step is arithmetic. With 12 tokens, 3 lanes and `seq_len=2`, the inputs are:

    step      0        1        2        3
    lane 0    0  1     2  3     4  5     6  7
    lane 1    4  5     6  7     8  9    10 11
    lane 2    8  9    10 11     0  1     2  3
"""

import numpy as np
import tensorflow as tf

from pipeline.reading.batches import Batches
from pipeline.reading.geometry import check_lanes, lane_block_steps, lane_starts
from pipeline.reading.graph.groups import Rows
from pipeline.reading.graph.spans import ShardFiles, cut_spans, read_pieces


def make_lanes(
    files: ShardFiles, num_tokens: int, batches: Batches, *, separator_id: int
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's lanes, from `start_step` on.

    Args:
        files: the split, in which every token is a window.
        num_tokens: of the split.
        batches: what is asked for; a lane is a row.
        separator_id: of the vocabulary.

    Returns:
        `((inputs, resets), targets)`: `[rows, seq_len]` int32, bool and int32.

    Raises:
        OptionError: fewer tokens than one batch holds.
    """
    rows, seq_len, start_step = Rows(batches), batches.seq_len, batches.start_step
    check_lanes(num_tokens, num_lanes=rows.batch_size, seq_len=seq_len)
    own_starts = lane_starts(rows.batch_size, num_tokens)[rows.places]
    steps = lane_block_steps(
        num_tokens,
        num_lanes=rows.batch_size,
        host_count=batches.host_count,
        seq_len=seq_len,
        itemsize=files.dtype.itemsize,
    )

    @tf.autograph.experimental.do_not_convert
    def load(block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = (own_starts + block * (steps * seq_len) - 1) % num_tokens
        length = tf.constant(steps * seq_len + 2, tf.int64)  # one before the inputs, one after
        tokens, _ = read_pieces(files, cut_spans(files, first, length))
        # The last tile is padding; [rows, steps * seq_len + 2]
        tokens = tf.reshape(tokens[: length * rows.count], [rows.count, steps * seq_len + 2])
        # A split ends with a separator, so what begins it anew is reset as well.
        return tokens, tf.cast(tokens[:, :-2], tf.int32) == separator_id

    @tf.autograph.experimental.do_not_convert
    def batches_of(block: tf.Tensor, loaded: tuple[tf.Tensor, tf.Tensor]) -> tf.data.Dataset:
        tokens, resets = loaded

        def batch(step: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
            start = step * seq_len
            shape = [rows.count, seq_len]
            inputs = tf.slice(tokens, [0, start + 1], shape)
            targets = tf.slice(tokens, [0, start + 2], shape)
            reset = tf.ensure_shape(tf.slice(resets, [0, start], shape), shape)
            return (_ids(inputs, shape), reset), _ids(targets, shape)

        first_step = tf.maximum(start_step - block * steps, 0)
        return tf.data.Dataset.range(first_step, steps).map(batch)

    blocks = tf.data.Dataset.range(start_step // steps, np.iinfo(np.int64).max)
    loaded = blocks.map(lambda block: (block, load(block)), num_parallel_calls=1).prefetch(1)
    return loaded.flat_map(batches_of)


def _ids(tokens: tf.Tensor, shape: list[int]) -> tf.Tensor:
    return tf.ensure_shape(tf.cast(tokens, tf.int32), shape)
