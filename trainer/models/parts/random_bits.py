"""Random bits as hashes: each a function of a seed and a place alone, in few operations.

`tf.random`'s numbers are those of one seed for a whole tensor, and what an element is may depend
on the tensor's shape; XLA's code for them on CPUs takes from six to three hundred times as long.
"""

from typing import Any

import tensorflow as tf


def as_bits(value: Any) -> tf.Tensor:
    """Returns integers modulo 2**32, uint32."""
    return tf.cast(value, tf.uint32)


def mix(bits: tf.Tensor) -> tf.Tensor:
    """Wellons' `lowbias32`: a permutation of `[…]` uint32 that looks random.

    https://nullprogram.com/blog/2018/07/31
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, as_bits(shift)))
        bits *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, as_bits(16)))
