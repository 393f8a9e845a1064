"""Cross-entropy, as it is measured and as it is trained."""

import tensorflow as tf


def token_nats(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each target token.

    Args:
        targets: `[batch, seq_len]` or `[batch]` int32 ids.
        logits: the same shape and one more axis, the vocabulary; float32.

    Returns:
        Nats, of the targets' shape, float32.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def smoothed_nats(targets: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Cross-entropy with smoothed labels: part of the probability goes to all tokens evenly.

    The label of target `t` among `K` tokens is `1 - smoothing + smoothing / K` at `t` and
    `smoothing / K` elsewhere (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567). No such
    label is made: its cross-entropy is the target's and the mean one of all tokens, mixed.

    Args:
        targets: as those of `token_nats`; `logits` too.
        logits: the model's.
        smoothing: that part, at least 0 and below 1.

    Returns:
        Nats, of the targets' shape, float32. The least possible is not 0.
    """
    nats = token_nats(targets, logits)
    if smoothing == 0:
        return nats
    mean_nats = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
    return (1 - smoothing) * nats + smoothing * mean_nats
