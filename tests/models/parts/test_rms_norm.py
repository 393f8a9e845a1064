"""rms_norm: values and gradients of Keras's own, compiled or not."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.parts.rms_norm import RMSNorm

compiled_or_not = pytest.mark.usefixtures("fused_or_not")


def norms() -> tuple[RMSNorm, keras.layers.Layer, tf.Tensor]:
    hidden, scale = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    ours, theirs = RMSNorm(), keras.layers.RMSNormalization()
    for norm in (ours, theirs):
        norm.build((None, 6))
        norm.scale.assign(scale[0])
    return ours, theirs, tf.constant(hidden)


def with_gradients(function: Any, norm: Any, *inputs: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
        loss = tf.add_n([tf.reduce_sum(tf.sin(one)) for one in tf.nest.flatten(outputs)])
    return [*tf.nest.flatten(outputs), *tape.gradient(loss, [*inputs, norm.scale.value])]


@compiled_or_not
def test_it_is_keras_own() -> None:
    ours, theirs, hidden = norms()
    results = [with_gradients(norm, norm, hidden) for norm in (ours, theirs)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@compiled_or_not
def test_that_of_a_sum_comes_with_the_sum() -> None:
    ours, theirs, hidden = norms()

    def separate(hidden: tf.Tensor, added: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return hidden + added, theirs(hidden + added)

    given = hidden, tf.cos(hidden)
    expected = with_gradients(separate, theirs, *given)
    for one, other in zip(with_gradients(ours.of_sum, ours, *given), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_scale_has_all_its_digits_in_layers_that_compute_in_bfloat16() -> None:
    norm = RMSNorm(dtype="mixed_bfloat16")
    norm.build((None, 6))
    outer = keras.layers.Lambda(lambda _: norm.scale.value, dtype="mixed_bfloat16")
    assert outer(tf.zeros([1, 6])).dtype == tf.float32
    assert norm(tf.ones([2, 6], tf.bfloat16)).dtype == tf.bfloat16
