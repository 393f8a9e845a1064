"""cross_entropy: beside labels that are written out, and beside the gradients of all logits."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainer.models.head import Head
from trainer.steps import cross_entropy
from trainer.steps.cross_entropy import summed_nats, token_nats

RANDOM = np.random.default_rng(0)
FEATURES, KERNEL, BIAS = (
    RANDOM.normal(size=shape).astype(np.float32) for shape in ((3, 4, 5), (5, 7), (7,))
)
TARGETS = np.random.default_rng(1).integers(7, size=(3, 4)).astype(np.int32)
LOGITS = FEATURES @ KERNEL + BIAS


def head_of(features: Any, kernel: Any, bias: Any, kind: str) -> Head:
    if kind == "logits":
        return Head(features @ kernel + bias)
    if kind == "tied":
        return Head(features, tf.transpose(kernel), is_transposed=True)
    return Head(features, kernel, bias)


def expected_nats(targets: np.ndarray, logits: np.ndarray, smoothing: float) -> np.ndarray:
    labels = (1 - smoothing) * np.eye(7)[targets] + smoothing / 7
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -(labels * log_probabilities).sum(axis=-1)


every_kind = pytest.mark.parametrize("kind", ["dense", "tied", "logits"])
every_part = pytest.mark.parametrize("rows", [1, 5, 6, 12])  # of a part; there are 12


@pytest.mark.parametrize("shape", [(3, 4), (12,)])
@every_part
@every_kind
def test_each_token_has_the_cross_entropy_of_its_label(
    kind: str, rows: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "_PART_LOGITS", rows * 7)
    targets, bias = TARGETS.reshape(shape), BIAS * (kind != "tied")
    head = head_of(FEATURES.reshape(*shape, 5), KERNEL, bias, kind)
    nats = token_nats(tf.constant(targets), head)
    assert nats.dtype == tf.float32
    logits = (FEATURES @ KERNEL + bias).reshape(*shape, 7)
    np.testing.assert_allclose(nats, expected_nats(targets, logits, 0.0), rtol=1e-5)


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize(("smoothing", "jit"), [(0.0, False), (0.1, False), (0.9, True)])
@every_part
@every_kind
def test_the_gradients_are_those_of_all_logits_at_once(
    kind: str, rows: int, smoothing: float, jit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow's own gradients of labels that are written out; the loss counts by 3."""
    monkeypatch.setattr(cross_entropy, "_PART_LOGITS", rows * 7)
    labels = (1 - smoothing) * np.eye(7, dtype=np.float32)[TARGETS] + smoothing / 7

    def by_hand(head: Head) -> tf.Tensor:
        return summed_nats(tf.constant(TARGETS), head, smoothing)

    def by_tensorflow(head: Head) -> tf.Tensor:
        return tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(labels, head.logits()))

    def everything(loss_of: Any) -> list[tf.Tensor]:
        given = [tf.constant(one) for one in (FEATURES, KERNEL, BIAS * (kind != "tied"))]
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = loss_of(head_of(*given, kind))
            scaled = 3 * loss
        gradients = tape.gradient(scaled, given, unconnected_gradients="zero")
        return [loss, *gradients]

    found = tf.function(lambda: everything(by_hand), jit_compile=jit)()
    for one, other in zip(found, everything(by_tensorflow), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_gives_nearly_the_same(dtype: str) -> None:
    features, kernel = tf.constant(FEATURES), tf.constant(KERNEL)
    results = []
    for given in (features, tf.cast(features, dtype)):
        with tf.GradientTape() as tape:
            tape.watch([given, kernel])
            loss = summed_nats(tf.constant(TARGETS), Head(given, kernel, tf.constant(BIAS)))
        results.append([loss, *tape.gradient(loss, [given, kernel])])
    exact, low = results
    assert [one.dtype for one in low] == [tf.float32, dtype, tf.float32]
    for one, other in zip(low, exact, strict=True):
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, rtol=0.02, atol=0.02)


def test_the_scale_of_a_loss_saves_gradients_that_float16_cannot_hold() -> None:
    features = tf.constant(FEATURES, tf.float16)
    kernel = tf.constant(KERNEL)
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = summed_nats(tf.constant(TARGETS), Head(features, kernel)) / 2.0**30 * 2.0**30
    assert np.count_nonzero(tape.gradient(loss, features)) == features.shape.num_elements()


def test_extreme_logits_give_finite_nats_and_gradients() -> None:
    """The likeliest id is as good as certain: its rest must not be rounded to 0 and then to inf."""
    logits = tf.constant([[0.0, 500.0, -500.0]] * 2)
    targets = tf.constant([1, 2])
    np.testing.assert_allclose(token_nats(targets, Head(logits)), [0.0, 1000.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = summed_nats(targets, Head(logits))
    np.testing.assert_allclose(tape.gradient(loss, logits), [[0, 0, 0], [0, 1, -1]], atol=1e-6)


def test_an_id_that_is_no_token_is_no_silent_number() -> None:
    """As with TensorFlow's own: NaN or an error, on CPUs."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        token_nats(tf.constant([7] * 12), Head(FEATURES.reshape(12, 5), KERNEL, BIAS))
