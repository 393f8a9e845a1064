"""Evaluation with the text before: a split is read in order, and every token is predicted once.

Recurrent models carry their state through the whole split. Other models read windows that overlap
by half, and of each only the places that the window before did not reach are counted: a token is
predicted from at least half a window. Published figures of bits per character are made so; windows
that lie end to end know nothing at their first places.

Dynamic evaluation (Krause et al. 2018, https://arxiv.org/abs/1709.07432, here with plain SGD) goes
the same way, and the model learns from each chunk once it has been measured on it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import TrainConfig
from trainer.config.model import RECURRENT
from trainer.models import LanguageModel
from trainer.steps.cross_entropy import token_nats

_STATE_TOKENS = 512  # that a state is carried over in one call


def overlapping(
    arrays: Iterable[np.ndarray], length: int, overlap: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts tokens into chunks that begin with the last tokens of the chunk before.

    With tokens 0 … 7, a length of 5 and an overlap of 3, a weight for each place that predicts:

        tokens         weights
        0 1 2 3 4      1 1 1 1
        2 3 4 5 6      0 0 1 1
        4 5 6 7 0      0 0 1 0

    Args:
        arrays: the tokens, in pieces of any lengths.
        length: tokens of a chunk; the last one is filled up with zeros.
        overlap: tokens, at least 1 and below `length`.

    Yields:
        Tokens, `[length]` int32, and weights of all but the first, `[length - 1]` float32: 1 for
        what no chunk before has predicted.
    """
    rest, num_known = np.zeros([0], np.int32), 1
    for array in arrays:
        rest = np.concatenate([rest, array.astype(np.int32)])
        while len(rest) >= length:
            yield rest[:length], _weights(length, num_known, length)
            rest, num_known = rest[length - overlap :], overlap
    if len(rest) > num_known:
        filled = np.pad(rest, (0, length - len(rest)))
        yield filled, _weights(length, num_known, len(rest))


def _weights(length: int, num_known: int, num_tokens: int) -> np.ndarray:
    places = np.arange(1, length)
    return ((places >= num_known) & (places < num_tokens)).astype(np.float32)


def stateful_nats(
    model: LanguageModel,
    config: TrainConfig,
    arrays: Iterable[np.ndarray],
    separator_id: int,
    *,
    learning_rate: float | None = None,
) -> tuple[float, int]:
    """Measures a model on all tokens but the first; leaves it as it was.

    Args:
        model: with targets `"sequence"`.
        config: the run's options. A run of lanes forgets what is before a document, as it was
            trained to.
        arrays: the tokens of a split in order, in pieces of any lengths.
        separator_id: that of the vocabulary.
        learning_rate: for dynamic evaluation: after each chunk of a recurrent model, or batch of
            other models' windows, the weights move by this times the gradient of its mean nats.
            Nothing is dropped, and no gradient goes back beyond the chunk. None: they stay.

    Returns:
        The sum of nats, and the number of tokens predicted.
    """
    carries = config.model in RECURRENT
    length = (_STATE_TOKENS if carries else config.seq_len) + 1
    chunks = overlapping(arrays, length, 1 if carries else length - (config.seq_len + 1) // 2)

    def measure(tokens: tf.Tensor, weights: tf.Tensor, last: tf.Tensor, state: Any) -> Any:
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        if carries:
            before = tf.concat([last[:, tf.newaxis], inputs[:, :-1]], axis=1)
            resets = (before == separator_id) & config.lanes
            head, state = model.read(inputs, resets, state, training=False)
        else:
            head = model.head(inputs, training=False)
        nats = tf.reduce_sum(tf.cast(token_nats(targets, head) * weights, tf.float64))
        return nats, inputs[:, -1], state

    step_size = 0.0 if learning_rate is None else learning_rate

    def learn(tokens: tf.Tensor, weights: tf.Tensor, last: tf.Tensor, state: Any) -> None:
        with tf.GradientTape() as tape:
            nats, _, _ = measure(tokens, weights, last, state)
        # In float64 first, which holds any number that Python has.
        rate = tf.cast(step_size / tf.reduce_sum(tf.cast(weights, tf.float64)), tf.float32)
        for weight, gradient in zip(learned, tape.gradient(nats, learned), strict=True):
            weight.assign_sub(rate * tf.convert_to_tensor(gradient))

    # Two functions, so that what is measured is computed as without learning, to the last digit.
    compute, update = tf.function(measure), tf.function(learn)
    learned = [weight.value for weight in model.trainable_variables if learning_rate is not None]
    kept = [tf.identity(weight) for weight in learned]
    # A state is handed on from chunk to chunk; windows go side by side.
    num_rows = 1 if carries else config.batch_size
    last, state = tf.constant([separator_id]), model.initial_state(1) if carries else None
    total, num_tokens = 0.0, 0
    try:
        for tokens, weights in _batches(chunks, num_rows):
            read = tf.constant(tokens), tf.constant(weights), last, state
            nats, last, state = compute(*read)
            total, num_tokens = total + float(nats), num_tokens + int(weights.sum())
            if learning_rate is not None:
                update(*read)
    finally:
        for weight, value in zip(learned, kept, strict=True):
            weight.assign(value)
    return total, num_tokens


def _batches(
    chunks: Iterator[tuple[np.ndarray, np.ndarray]], num_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stacks chunks; the last batch is filled up with rows of weight 0."""
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for chunk in chunks:
        rows.append(chunk)
        if len(rows) == num_rows:
            yield np.stack([one for one, _ in rows]), np.stack([one for _, one in rows])
            rows = []
    if rows:
        empty = np.zeros_like(rows[0][0]), np.zeros_like(rows[0][1])
        rows += [empty] * (num_rows - len(rows))
        yield np.stack([one for one, _ in rows]), np.stack([one for _, one in rows])
