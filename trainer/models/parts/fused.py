"""Fused functions: what stands between two products of a model, in few passes over memory on CPUs.

TensorFlow starts a kernel for every operation, and each goes through memory anew. XLA joins them.
The products stay outside, where oneDNN multiplies bfloat16 with the processor's own instructions;
XLA's CPU compiler converts to float32.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from trainer.models.parts.devices import on_cpu

Function = TypeVar("Function", bound=Callable[..., Any])
# Of the first input: with fewer, single operations cost less than to start what is compiled.
_FEWEST_ELEMENTS = 2**14


def compiled(function: Function) -> Function:
    """Lets XLA compile a function where that is faster: on CPUs, of many elements.

    For what has no gradient, or one that is written by hand; see `fused` for others.

    Args:
        function: whose first input is a tensor; it captures none.

    Returns:
        A function of the same values.
    """
    by_xla = tf.function(function, jit_compile=True, reduce_retracing=True, autograph=False)

    @functools.wraps(function)
    def apply(*inputs: Any) -> Any:
        return (by_xla if _is_worth_it(inputs[0]) else function)(*inputs)

    return apply  # type: ignore[return-value]


def fused(*, by: int) -> Callable[[Function], Function]:
    """Lets XLA compile a function and its gradient where that is faster, as `compiled` does.

    For the gradient all is computed anew from the inputs, compiled or not: nothing is kept but
    these.

    Args:
        by: how many of its inputs, the first ones, the gradient is by. Of others, which need not
            be tensors, none is made.

    Returns:
        What turns a function, inputs -> a tensor or a tuple of tensors, into one of the same
        values. It captures no tensor.
    """

    def decorate(function: Function) -> Function:
        def differentiate(inputs: Any, others: Any, upstream: Any) -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                outputs = tf.nest.flatten(function(*inputs, *others))
            return tape.gradient(outputs, inputs, upstream)

        # Traced anew for every shape: what reads a static one could not be traced for any.
        by_xla, differentiate_by_xla = (
            tf.function(one, jit_compile=True, autograph=False) for one in (function, differentiate)
        )

        @functools.wraps(function)
        def apply(*inputs: Any) -> Any:
            others = inputs[by:]
            is_compiled = _is_worth_it(inputs[0])

            @tf.custom_gradient
            def run(*inputs: tf.Tensor) -> Any:
                def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
                    return (differentiate_by_xla if is_compiled else differentiate)(
                        list(inputs), others, list(upstream)
                    )

                return (by_xla if is_compiled else function)(*inputs, *others), gradient

            return run(*inputs[:by])

        return apply  # type: ignore[return-value]

    return decorate


def _is_worth_it(tensor: tf.Tensor) -> bool:
    size = None if tensor.shape.rank is None else tensor.shape.num_elements()
    return on_cpu() and size is not None and size >= _FEWEST_ELEMENTS
