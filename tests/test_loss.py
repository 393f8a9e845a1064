"""loss: cross-entropy, and smoothed labels beside labels that are written out."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.steps.loss import smoothed_nats, token_nats

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 7)).astype(np.float32) * 3
TARGETS = np.random.default_rng(1).integers(7, size=(3, 4)).astype(np.int32)


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -(labels * log_probabilities).sum(axis=-1)


@pytest.mark.parametrize("shape", [(3, 4), (12,)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothing_is_the_cross_entropy_of_smoothed_labels(
    smoothing: float, shape: tuple[int, ...]
) -> None:
    targets, logits = TARGETS.reshape(shape), LOGITS.reshape(*shape, 7)
    labels = (1 - smoothing) * np.eye(7)[targets] + smoothing / 7
    nats = smoothed_nats(tf.constant(targets), tf.constant(logits), smoothing)
    assert nats.dtype == tf.float32
    np.testing.assert_allclose(nats, cross_entropy(labels, logits), rtol=1e-5)


def test_without_smoothing_the_loss_is_that_of_validation() -> None:
    targets, logits = tf.constant(TARGETS), tf.constant(LOGITS)
    np.testing.assert_array_equal(smoothed_nats(targets, logits, 0.0), token_nats(targets, logits))
