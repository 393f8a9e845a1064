"""Documents within batches: loss masks, and segments for packed training. In the graph.

A separator ends its document, and is also what the next one is predicted from: in generating,
a document begins after a separator. So a separator among the inputs opens a segment:

    inputs        b c . d e . f        `.` is the separator
    segment_ids   0 0 1 1 1 2 2
    positions     0 1 0 1 2 0 1
"""

import tensorflow as tf


def mask_other_documents(
    inputs: tf.Tensor, targets: tf.Tensor, separator_id: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Keeps of each window the document that it begins with; the rest becomes padding.

    Args:
        inputs: `[rows, seq_len]` int32.
        targets: `[rows, seq_len]` or `[rows]` int32.
        separator_id: of the vocabulary; the padding too.

    Returns:
        Inputs, targets and weights; `weights` is float32 of the shape of `targets`, 0 where a
        target is of another document than the window's first token.
    """
    segment_ids = _segment_ids(inputs, separator_id)
    own = segment_ids == segment_ids[:, :1]
    in_own = own if targets.shape.rank == 2 else own[:, -1]
    return (
        tf.where(own, inputs, separator_id),
        tf.where(in_own, targets, separator_id),
        tf.cast(in_own, tf.float32),
    )


def segment(inputs: tf.Tensor, separator_id: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Numbers the documents of each window, and the tokens of each document.

    Args:
        inputs: `[rows, seq_len]` int32.
        separator_id: of the vocabulary.

    Returns:
        `segment_ids` and `positions`, `[rows, seq_len]` int32: see the module's example.
    """
    rows, seq_len = inputs.shape
    segment_ids = _segment_ids(inputs, separator_id)
    # A segment's first place, by the number of the segment over all rows.
    flat_ids = segment_ids + tf.range(rows)[:, None] * (seq_len + 1)
    places = tf.broadcast_to(tf.range(seq_len), [rows, seq_len])
    first_places = tf.math.unsorted_segment_min(places, flat_ids, rows * (seq_len + 1))
    return segment_ids, places - tf.gather(first_places, flat_ids)


def _segment_ids(inputs: tf.Tensor, separator_id: int) -> tf.Tensor:
    return tf.cumsum(tf.cast(inputs == separator_id, tf.int32), axis=1)
