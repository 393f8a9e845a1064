"""Attention of the Transformer: rotary positions, and softmax over the places before."""

import math

import tensorflow as tf

_ROTARY_BASE = 10_000.0
_UNSEEN = -1e30  # added to scores, which are no infinities: softmax takes their difference


def rotate(vectors: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Turns queries or keys by their positions, so that products depend on distances alone.

    Su et al. 2021, https://arxiv.org/abs/2104.09864; component `i` is paired with
    component `i + head_dim / 2`.

    Args:
        vectors: `[..., places, head_dim]`.
        positions: `[places]` int32.

    Returns:
        The vectors, of the same shape and lengths.
    """
    frequencies = rotary_frequencies(vectors.shape[-1])
    # [places, half]
    angles = tf.cast(positions, tf.float32)[:, tf.newaxis] * frequencies
    cosine, sine = tf.cast(tf.cos(angles), vectors.dtype), tf.cast(tf.sin(angles), vectors.dtype)
    first, second = tf.split(vectors, 2, axis=-1)
    return tf.concat([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def rotary_frequencies(head_dim: int) -> tf.Tensor:
    """How far a place turns each pair of components, `[head_dim / 2]` float32 radians."""
    half = head_dim // 2
    return _ROTARY_BASE ** (-tf.range(half, dtype=tf.float32) / half)


def attend(queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax attention: averages values by how well their keys match queries.

    Args:
        queries: `[batch, heads, places, head_dim]`.
        keys: `[batch, heads, sources, head_dim]`; `values` too.
        values: what is averaged.
        mask: `[places, sources]` bool, True where a place sees a source; at least one each.

    Returns:
        `[batch, heads, places, head_dim]`.
    """
    queries *= 1 / math.sqrt(queries.shape[-1])
    scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
    # Added, not selected: the gradient of a select is another select of the same size.
    weights = tf.nn.softmax(scores + tf.where(mask, 0.0, _UNSEEN))
    return tf.matmul(tf.cast(weights, values.dtype), values)


def causal_mask(num_places: int | tf.Tensor, context: int) -> tf.Tensor:
    """Lets a place see itself and the `context - 1` places before it: `[places, places]` bool."""
    positions = tf.range(num_places)
    distance = positions[:, tf.newaxis] - positions
    return (distance >= 0) & (distance < context)
