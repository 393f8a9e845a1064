"""fused: compiled where it is worth it, with the values and gradients of what was given."""

import numpy as np
import pytest
import tensorflow as tf
from modelling import build

from trainer.models.parts import fused as module
from trainer.models.parts.fused import compiled, fused


@pytest.mark.usefixtures("fused_or_not")
def test_gradients_are_by_the_first_inputs_alone() -> None:
    product = fused(by=2)(lambda one, other, factor, power: one * other**power * factor)
    first, second, factor = tf.constant([1.0, -2]), tf.constant([3.0, 4]), tf.constant(5.0)

    def gradients() -> list[tf.Tensor | None]:
        with tf.GradientTape() as tape:
            tape.watch([first, second, factor])
            result = product(first, second, factor, 2)
        return [result, *tape.gradient(result, [first, second, factor])]

    for found in (gradients(), tf.function(gradients)()):
        assert found.pop() is None
        expected = [[45.0, -160], [45.0, 80], [30.0, -80]]
        np.testing.assert_allclose(np.stack(found), expected)


@pytest.mark.parametrize("size", [2**14 - 1, 2**14])
def test_few_elements_are_not_compiled(size: int) -> None:
    compilations: list[bool] = []

    def note(tensor: tf.Tensor) -> tf.Tensor:
        compilations.append(tf.inside_function())
        return tensor

    compiled(note)(tf.zeros([size]))
    assert compilations == [size == 2**14]


def test_an_unknown_size_is_not_compiled() -> None:
    function = tf.function(
        compiled(lambda tensor: tensor + 1), input_signature=[tf.TensorSpec([None, 2**14])]
    )
    operations = function.get_concrete_function().graph.get_operations()
    assert not [one for one in operations if "PartitionedCall" in one.type]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["transformer", "mingru"])
def test_a_model_is_the_same_compiled_or_not(
    kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tf.constant(np.random.default_rng(0).integers(9, size=(4, 8)), tf.int32)
    results = []
    for fewest in (0, 10**9):
        monkeypatch.setattr(module, "_FEWEST_ELEMENTS", fewest)
        model = build(kind, 9, dropout=0.2, precision=precision)
        weights = [one.value for one in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(model(tokens, training=True)))
        results.append([loss, *map(tf.convert_to_tensor, tape.gradient(loss, weights))])
    for one, other in zip(*results, strict=True):
        size = np.abs(other).max()
        np.testing.assert_allclose(
            one, other, atol=(1e-5 if precision == "float32" else 3e-2) * size
        )


@pytest.mark.parametrize("kind", ["transformer", "mingru"])
def test_a_model_takes_any_shape_after_others(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEWEST_ELEMENTS", 0)
    model = build(kind, 9, dropout=0.2)
    for batch, places in [(4, 8), (4, 7), (3, 6), (2, 5)]:
        tokens = tf.zeros([batch, places], tf.int32)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(tokens, training=True))
        weights = [one.value for one in model.trainable_variables]
        assert all(one is not None for one in tape.gradient(loss, weights))
