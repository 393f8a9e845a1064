"""The matrix products of a step alone, in TensorFlow: what no LSTM made of them can pass."""

import tensorflow as tf
from timing import BATCH, EMBEDDING, SEQ_LEN, UNITS, options, report, vocabulary_size

DTYPE = tf.bfloat16 if "bfloat16" in options else tf.float32
TOKENS = BATCH * SEQ_LEN


def matrix(*shape):
    return tf.constant(tf.cast(tf.random.normal(shape, stddev=0.05), DTYPE))


recurrent, transposed = matrix(UNITS, 4 * UNITS), matrix(4 * UNITS, UNITS)
embedding, kernel = matrix(vocabulary_size, EMBEDDING), matrix(EMBEDDING, 4 * UNITS)
hidden, gates = matrix(BATCH, UNITS), matrix(BATCH, 4 * UNITS)
all_hidden, all_gates = matrix(TOKENS, UNITS), matrix(TOKENS, 4 * UNITS)
dense, all_logits = matrix(UNITS, vocabulary_size), matrix(TOKENS, vocabulary_size)


@tf.function
def step():
    """Each step of the recurrence waits for the one before, as in an LSTM."""
    row, gradient = hidden, gates
    for _ in range(SEQ_LEN):
        row = tf.matmul(row, recurrent)[:, :UNITS]
        gradient = tf.tile(tf.matmul(gradient, transposed), [1, 4])
    products = [
        tf.matmul(embedding, kernel),
        tf.matmul(all_hidden, all_gates, transpose_a=True),
        tf.matmul(all_hidden, dense),
        tf.matmul(all_logits, dense, transpose_b=True),
        tf.matmul(all_hidden, all_logits, transpose_a=True),
    ]
    return sum(product[0, 0] for product in [row, gradient, *products])


report(step)
