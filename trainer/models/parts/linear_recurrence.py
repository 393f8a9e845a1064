"""Linear recurrence `h[t] = a[t] h[t-1] + b[t]`, with a gradient of its own, the same backwards.

With `g[t]` all that arrives at `h[t]`, directly (`d[t]`) and from what comes later:

    g[t] = d[t] + a[t+1] g[t+1]     to b[t]: g[t]    to a[t]: g[t] h[t-1]    to h[-1]: a[0] g[0]

Nothing but `h` is kept for it. On a CPU, where memory is what it waits for, a loop over the places
goes through every array once. Elsewhere the places are cut into chunks, which loops go through side
by side; a second loop, from chunk to chunk, finds the state that each begins with. A scan in
log(seq_len) rounds, of Hillis and Steele, goes through all arrays in every round.
"""

import math
from typing import Any

import tensorflow as tf

from trainer.models.parts.devices import on_cpu


def linear_recurrence(
    decay: tf.Tensor, addend: tf.Tensor, first: tf.Tensor, *, num_chunks: int | None = None
) -> tf.Tensor:
    """Returns `h[t]` of all places.

    Args:
        decay: `a`, `[seq_len, batch, units]` float32; `seq_len` is static.
        addend: `b`, likewise.
        first: `h[-1]`, `[batch, units]` float32.
        num_chunks: how many chunks go side by side; None for what is fast here.
    """
    seq_len = decay.shape[0]
    if num_chunks is None:
        num_chunks = 1 if on_cpu() else math.isqrt(seq_len)

    @tf.custom_gradient
    def run(decay: tf.Tensor, addend: tf.Tensor, first: tf.Tensor) -> Any:
        hidden = _in_chunks(decay, addend, first, num_chunks)

        def gradient(arriving: tf.Tensor) -> Any:
            # decay[1] ... decay[-1], 0
            following = tf.pad(decay[1:], [[0, 1], [0, 0], [0, 0]])
            total = _in_chunks(following, arriving, tf.zeros_like(first), num_chunks, reverse=True)
            before = tf.concat([first[tf.newaxis], hidden[:-1]], axis=0)
            return total * before, total, decay[0] * total[0]

        return hidden, gradient

    return run(decay, addend, first)


def _in_chunks(
    decay: tf.Tensor,
    addend: tf.Tensor,
    first: tf.Tensor,
    num_chunks: int,
    *,
    reverse: bool = False,
) -> tf.Tensor:
    """Returns the states at all places, `first` being the one before them, or after, in reverse."""
    if num_chunks == 1:
        return _one_by_one(decay, addend, first, reverse=reverse)
    seq_len, sizes = decay.shape[0], tf.unstack(tf.shape(first))
    length = -(-seq_len // num_chunks)
    filling = [[0, num_chunks * length - seq_len], [0, 0], [0, 0]]
    # Through what is filled in, a state goes unchanged. [chunks, length, batch, units] -> the
    # places of all chunks first.
    shape = [num_chunks, length, *sizes]
    decay = tf.pad(decay, filling, constant_values=1.0)
    decay = tf.transpose(tf.reshape(decay, shape), [1, 0, 2, 3])
    addend = tf.transpose(tf.reshape(tf.pad(addend, filling), shape), [1, 0, 2, 3])
    zeros = tf.zeros_like(decay[0])
    inside = _one_by_one(decay, addend, zeros, reverse=reverse)
    passed = _one_by_one(decay, tf.zeros_like(addend), zeros + 1.0, reverse=reverse)
    last = 0 if reverse else length - 1
    ends = _one_by_one(passed[last], inside[last], first, reverse=reverse)
    begins = tf.concat(
        [ends[1:], first[tf.newaxis]] if reverse else [first[tf.newaxis], ends[:-1]], axis=0
    )
    hidden = tf.transpose(inside + passed * begins, [1, 0, 2, 3])
    return tf.reshape(hidden, [-1, *sizes])[:seq_len]


def _one_by_one(
    decay: tf.Tensor, addend: tf.Tensor, first: tf.Tensor, *, reverse: bool
) -> tf.Tensor:
    num_places = decay.shape[0]

    def advance(index: tf.Tensor, state: tf.Tensor, states: tf.TensorArray) -> Any:
        place = num_places - 1 - index if reverse else index
        state = decay[place] * state + states.read(place)
        return index + 1, state, states.write(place, state)

    # A state takes the place of its addend: XLA needs no second array, nor zeros in it.
    shape = decay.shape[1:]
    states = tf.TensorArray(decay.dtype, num_places, element_shape=shape).unstack(addend)
    *_, states = tf.while_loop(
        lambda index, *_: index < num_places,
        advance,
        (tf.constant(0), first, states),
        maximum_iterations=num_places,  # XLA must know
    )
    return states.stack()
