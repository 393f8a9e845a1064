"""Attention of the Transformer: rotary positions, and softmax over the places before."""

import math
from typing import Any

import tensorflow as tf

from trainer.models.parts.fused import compiled, fused

_ROTARY_BASE = 10_000.0
_UNSEEN = -1e30  # added to scores, which are no infinities: softmax takes their difference


def rotate(vectors: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor) -> tf.Tensor:
    """Turns queries or keys by their positions, so that products depend on distances alone.

    Su et al. 2021, https://arxiv.org/abs/2104.09864; component `i` is paired with
    component `i + head_dim / 2`.

    Args:
        vectors: `[..., places, head_dim]` float32.
        cosine: `[places, head_dim / 2]`, of `rotary_turns`; `sine` too.
        sine: of the same angles.

    Returns:
        The vectors, of the same shape and lengths.
    """
    first, second = tf.split(vectors, 2, axis=-1)
    return tf.concat([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def rotary_turns(positions: tf.Tensor, head_dim: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns cosine and sine of the angles of positions, `[places, head_dim / 2]` float32 each."""
    angles = tf.cast(positions, tf.float32)[:, tf.newaxis] * rotary_frequencies(head_dim)
    return tf.cos(angles), tf.sin(angles)


def rotary_frequencies(head_dim: int) -> tf.Tensor:
    """How far a place turns each pair of components, `[head_dim / 2]` float32 radians."""
    half = head_dim // 2
    return _ROTARY_BASE ** (-tf.range(half, dtype=tf.float32) / half)


@fused(by=1)
def split_and_rotate(
    joined: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Takes apart what one product gives: queries, keys and values.

    Args:
        joined: `[batch, places, 3, heads, head_dim]`.
        cosine: of the places' positions, as `rotary_turns` gives it; `sine` too.
        sine: of the same angles.

    Returns:
        `[batch, heads, places, head_dim]` each: queries and keys turned by their positions, the
        queries divided by the root of `head_dim` as well, as `attend` takes them.
    """
    # [3, batch, heads, places, head_dim]
    joined = tf.transpose(joined, [2, 0, 3, 1, 4])
    queries, keys = tf.unstack(rotate(tf.cast(joined[:2], tf.float32), cosine, sine))
    queries /= math.sqrt(joined.shape[-1])
    return tf.cast(queries, joined.dtype), tf.cast(keys, joined.dtype), joined[2]


def attend(queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax attention: averages values by how well their keys match queries.

    Args:
        queries: `[batch, heads, places, head_dim]`, divided by the root of `head_dim`.
        keys: `[batch, heads, sources, head_dim]`; `values` too.
        values: what is averaged.
        mask: `[places, sources]` bool, True where a place sees a source; at least one each.

    Returns:
        `[batch, heads, places, head_dim]`.
    """
    return tf.matmul(_softmax(tf.matmul(queries, keys, transpose_b=True), mask), values)


def _softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Maps `[batch, heads, places, sources]` to shares that add up to 1, of the same dtype.

    Nothing but the shares is kept for the gradient, `p * (d - sum(d * p))` where `d` arrives at
    the shares `p`: a product of them and the values keeps them in any case.
    """

    @tf.custom_gradient
    def run(scores: tf.Tensor) -> Any:
        shares = _shares(scores, mask)
        return shares, lambda upstream: _by_scores(shares, upstream)

    return run(scores)


@compiled
def _shares(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    # Added, not selected: one pass less, uncompiled.
    wide = tf.cast(scores, tf.float32) + tf.where(mask, 0.0, _UNSEEN)
    return tf.cast(tf.nn.softmax(wide), scores.dtype)


@compiled
def _by_scores(shares: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    wide, arriving = tf.cast(shares, tf.float32), tf.cast(upstream, tf.float32)
    mean = tf.reduce_sum(arriving * wide, axis=-1, keepdims=True)
    return tf.cast(wide * (arriving - mean), shares.dtype)


def causal_mask(num_places: int | tf.Tensor, context: int) -> tf.Tensor:
    """Lets a place see itself and the `context - 1` places before it: `[places, places]` bool."""
    positions = tf.range(num_places)
    distance = positions[:, tf.newaxis] - positions
    return (distance >= 0) & (distance < context)
