"""textreel, a loop in a `tf.function`, as its trainer has it; `text` is the corpus."""

import tensorflow as tf
from timing import report_function, text

from pipeline import open_corpus

corpus = open_corpus(text + ".corpus")


def make(seq_len, stride, batch_size):
    """Shuffled batches, of which a token each is used."""
    windows = corpus.windows("train", seq_len=seq_len, stride=stride, batch_size=batch_size)
    batches = iter(windows)

    @tf.function
    def consume(steps):
        total = tf.constant(0)
        for _ in tf.range(steps):
            inputs, targets = next(batches)
            total += inputs[0, 0] + targets[-1, -1]
        return total

    return lambda steps: int(consume(tf.constant(steps)))


report_function(make)
