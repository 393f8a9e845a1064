"""Cross-entropy, as it is measured and as it is trained, without all logits in memory at once.

Logits are made of the model's last features part by part, some rows at a time. What a part says
about the loss is known at once, and so is its share of the gradients: nothing of it is kept for
the way back. All logits of 64 windows of 64 tokens and 8,192 ids would take 134 MB in float32, and
their gradient as much again.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainer.models.head import Head
from trainer.models.parts.fused import compiled

# Logits of a part: 16 MiB. With fewer, the kernel's gradient would be added up more often.
_PART_LOGITS = 2**22

OfPart = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]


def token_nats(targets: tf.Tensor, head: Head) -> tf.Tensor:
    """Cross-entropy of each target token, to be measured; from float32 logits.

    Args:
        targets: `[batch, seq_len]` or `[batch]` int32 ids.
        head: the logits of every target, not computed yet.

    Returns:
        Nats, of the targets' shape, float32.
    """

    def of_part(features: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        logits = head._replace(features=features).logits()
        return _nats(logits, ids, tf.nn.softmax(logits)), []

    nats, _ = _in_parts(of_part, targets, head)
    return tf.reshape(nats, tf.shape(targets))


def summed_nats(targets: tf.Tensor, head: Head, smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy of all target tokens together, to be trained on.

    With smoothed labels, part of the probability goes to all tokens evenly: the label of target
    `t` among `K` tokens is `1 - smoothing + smoothing / K` at `t` and `smoothing / K` elsewhere
    (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567). No such label is made: its
    cross-entropy is the target's and the mean one of all tokens, mixed.

    The products of features and kernel, forwards and backwards, are of the features' dtype.

    Args:
        targets: as those of `token_nats`; `head` too.
        head: the logits of every target, not computed yet.
        smoothing: that part, at least 0 and below 1.

    Returns:
        Nats, a float32 scalar. With smoothing, the least possible is not 0.
    """
    is_transposed, dtype = head.is_transposed, head.features.dtype

    @tf.custom_gradient
    def nats_of(*tensors: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        features, kernel, bias = (*tensors, None, None)[:3]
        given = Head(features, kernel, bias, is_transposed)
        kernel = None if kernel is None else tf.cast(kernel, dtype)

        def of_part(features: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            """Gradient by the features; nats and gradients by kernel and bias, to be summed."""
            products = features
            if kernel is not None:
                products = tf.matmul(features, kernel, transpose_b=is_transposed)
            by_logits, nats, *by_bias = _judge(products, ids, given.bias, smoothing)
            if kernel is None:
                return by_logits, [nats]
            by_kernel = (
                tf.matmul(by_logits, features, transpose_a=True)
                if is_transposed
                else tf.matmul(features, by_logits, transpose_a=True)
            )
            by_features = tf.matmul(by_logits, kernel, transpose_b=not is_transposed)
            return by_features, [nats, tf.cast(by_kernel, tf.float32), *by_bias]

        by_features, (nats, *by_others) = _in_parts(of_part, targets, given)

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            # In float32 first: a float16 loss's scale is in `upstream`, the small share of a token
            # too.
            scaled = tf.cast(tf.cast(by_features, tf.float32) * upstream, dtype)
            by_given = tf.reshape(scaled, tf.shape(given.features))
            return [by_given, *(one * upstream for one in by_others)]

        return nats, gradient

    return nats_of(*(one for one in (head.features, head.kernel, head.bias) if one is not None))


@compiled
def _judge(
    products: tf.Tensor, ids: tf.Tensor, bias: tf.Tensor | None, smoothing: float
) -> list[tf.Tensor]:
    """What the logits of some rows, products and bias, say about the loss.

    Args:
        products: `[rows, num_ids]`.
        ids: the targets, `[rows]` int32.
        bias: `[num_ids]` float32, or None.
        smoothing: as of `summed_nats`.

    Returns:
        The gradient by the logits, of the products' shape and dtype; the sum of the rows' nats, a
        float32 scalar; where there is a bias, the gradient by it, float32.
    """
    logits = tf.cast(products, tf.float32)
    if bias is not None:
        logits += bias
    probabilities = tf.nn.softmax(logits)
    nats = tf.reduce_sum(_nats(logits, ids, probabilities, smoothing))
    by_logits = _less_labels(probabilities, ids, smoothing)
    by_bias = [] if bias is None else [tf.reduce_sum(by_logits, axis=0)]
    return [tf.cast(by_logits, products.dtype), nats, *by_bias]


def _nats(
    logits: tf.Tensor, ids: tf.Tensor, probabilities: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
    """Cross-entropy of each of some rows, `[rows]`.

    The logarithm of the sum of exponentials comes from the likeliest id, whose probability is never
    rounded to 0: on CPUs that takes a third of what TensorFlow's own cross-entropy takes.
    """
    normaliser = tf.reduce_max(logits, axis=1) - tf.math.log(tf.reduce_max(probabilities, axis=1))
    nats = normaliser - tf.gather(logits, ids, batch_dims=1)
    if smoothing == 0:
        return nats
    return (1 - smoothing) * nats + smoothing * (normaliser - tf.reduce_mean(logits, axis=1))


def _less_labels(probabilities: tf.Tensor, ids: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Gradient of the cross-entropy by the logits: the probabilities minus the labels."""
    num_ids = tf.shape(probabilities)[1]
    is_target = tf.range(num_ids) == ids[:, tf.newaxis]
    differences = tf.where(is_target, probabilities - (1 - smoothing), probabilities)
    return differences - smoothing / tf.cast(num_ids, tf.float32) if smoothing else differences


def _in_parts(of_part: OfPart, targets: tf.Tensor, head: Head) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Applies a function to some rows at a time, one part after the other.

    Args:
        of_part: `[rows, width]` features and `[rows]` ids -> a tensor of as many rows, and tensors
            to be summed.
        targets: the ids. Of an unknown number, they are one part.
        head: the features.

    Returns:
        The rows of all parts, and the sums.
    """
    features = tf.reshape(head.features, [-1, head.features.shape[-1]])
    ids = tf.reshape(targets, [-1])
    num_rows = ids.shape[0]
    size = max(1, _PART_LOGITS // head.num_ids)
    # Rows that are there as logits gain nothing from parts.
    if num_rows is None or num_rows <= size or head.kernel is None:
        return of_part(features, ids)
    # The last part, which may be short, is done first: its sums are what the others are added to.
    num_others = (num_rows - 1) // size
    last, sums = of_part(features[num_others * size :], ids[num_others * size :])
    done = tf.TensorArray(last.dtype, size=num_others, element_shape=[size, *last.shape[1:]])

    def advance(part: tf.Tensor, done: tf.TensorArray, sums: list[tf.Tensor]) -> Any:
        # Slices of a static size, which XLA asks for.
        first = part * size
        some = tf.slice(features, [first, 0], [size, features.shape[1]])
        rows, shares = of_part(some, tf.slice(ids, [first], [size]))
        added = [total + share for total, share in zip(sums, shares, strict=True)]
        return part + 1, done.write(part, rows), added

    _, done, sums = tf.while_loop(
        lambda part, *_: part < num_others,
        advance,
        (tf.constant(0), done, sums),
        parallel_iterations=1,
    )
    return tf.concat([done.concat(), last], axis=0), sums
