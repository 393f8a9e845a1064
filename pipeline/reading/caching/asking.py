"""Asking of a `Fetcher`, in a graph, for ranges of shards: see `fetcher`."""

import tensorflow as tf

from pipeline.reading.caching.fetcher import READY

_SLEEP_MICROSECONDS = 5_000


def ask(folder: str, shard: tf.Tensor, first_byte: tf.Tensor, num_bytes: tf.Tensor) -> tf.Tensor:
    """Asks for ranges of shards, and waits until they are here.

    Args:
        folder: of the fetcher.
        shard: `[ranges]` int64; index in the split.
        first_byte: `[ranges]` int64.
        num_bytes: `[ranges]` int64.

    Returns:
        Scalar string; the path prefix of the answer, which has the ranges end to end. It is to be
        given to `forget`.

    Raises:
        InvalidArgumentError: the store cannot be read; it says why.
    """
    numbers = tf.reshape(tf.stack([shard, first_byte, num_bytes], 1), [-1])
    text = tf.strings.reduce_join(tf.strings.as_string(numbers), separator=" ") + "."
    now = tf.strings.as_string(tf.cast(tf.timestamp() * 1e6, tf.int64))
    base = tf.strings.join(
        [folder, "/", now, "-", tf.strings.as_string(tf.strings.to_hash_bucket_fast(text, 2**62))]
    )
    with tf.control_dependencies([tf.io.write_file(base + ".ask", text)]):
        begun = tf.identity("")
    (said,) = tf.while_loop(
        lambda said: tf.equal(said, ""), lambda _: (_look(base + ".ready"),), (begun,)
    )
    with tf.control_dependencies([tf.debugging.Assert(said == READY, [said])]):
        return tf.identity(base)


def forget(answer: tf.Tensor) -> tf.Operation:
    """Says that an answer has been read."""
    return tf.io.write_file(answer + ".done", "")


def _look(path: tf.Tensor) -> tf.Tensor:
    """Returns the line of a file, after a while; an empty one where there is no file."""

    def read(path: tf.Tensor) -> tf.Tensor:
        return tf.strings.strip(tf.io.read_file(path))

    slept = tf.raw_ops.SleepDataset(
        input_dataset=tf.data.experimental.to_variant(tf.data.Dataset.from_tensors(path)),
        sleep_microseconds=tf.constant(_SLEEP_MICROSECONDS, tf.int64),
        output_types=[tf.string],
        output_shapes=[[]],
    )
    return (
        tf.data.experimental.from_variant(slept, tf.TensorSpec([], tf.string))
        .map(read)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(""))
        .take(1)
        .get_single_element()
    )
