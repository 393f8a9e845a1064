"""linear_recurrence: the plain loop's values and gradients, for any number of chunks."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.models.parts.linear_recurrence import linear_recurrence


def inputs(seq_len: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    generator = np.random.default_rng(seq_len)
    decay = generator.random([seq_len, 2, 3]).astype(np.float32)
    decay[seq_len // 2, 0] = 0.0  # a reset
    addend = generator.normal(size=[seq_len, 2, 3]).astype(np.float32)
    first = generator.normal(size=[2, 3]).astype(np.float32)
    return tf.constant(decay), tf.constant(addend), tf.constant(first)


def oracle(decay: tf.Tensor, addend: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    states = []
    for a, b in zip(tf.unstack(decay), tf.unstack(addend), strict=True):
        first = a * first + b
        states.append(first)
    return tf.stack(states)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("seq_len", "num_chunks"), [(1, None), (1, 1), (5, 1), (7, 2), (9, 3), (10, 4), (11, 11)]
)
def test_values_and_gradients_are_those_of_a_plain_loop(
    seq_len: int, num_chunks: int | None, jit: bool
) -> None:
    values = inputs(seq_len)
    found = []
    for function in (lambda *x: linear_recurrence(*x, num_chunks=num_chunks), oracle):

        @tf.function(jit_compile=jit)
        def states_and_gradients(*x: tf.Tensor, function=function) -> tuple[tf.Tensor, ...]:  # type: ignore[no-untyped-def]
            with tf.GradientTape() as tape:
                tape.watch(x)
                states = function(*x)
                loss = tf.reduce_sum(tf.sin(3 * states))
            return states, *tape.gradient(loss, x)

        found.append(states_and_gradients(*values))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert np.abs(other).max() > 0.01
