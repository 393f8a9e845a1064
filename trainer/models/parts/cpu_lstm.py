"""LSTM layer's sequence on a CPU: Keras's weights, values and gradients, in less time.

The cell is Hochreiter and Schmidhuber's (1997, https://doi.org/10.1162/neco.1997.9.8.1735) with the
forget gate of Gers et al. (2000, https://doi.org/10.1162/089976600300015015), gates in Keras's
order `i, f, g, o`. With `p` an input times the kernel plus the bias, `U` the recurrent kernel:

    i, f, o = sigmoid(z), g = tanh(z)   of the four parts of   z[t] = p[t] + h[t-1] U
    c[t] = f c[t-1] + i g
    h[t] = o tanh(c[t])

and backwards, `dh` and `dc` being what arrives at `h[t]` and `c[t]` from all that comes later:

    dc  += dh o (1 - tanh(c)^2)
    dz   = [dc g i (1 - i), dc c[t-1] f (1 - f), dc i (1 - g^2), dh tanh(c) o (1 - o)]
    to h[t-1]: dz U'    to c[t-1]: dc f    to p[t]: dz    to U: the sum over t of h[t-1]' dz

Where the time goes, and what is done about it:

- The gradient of `U` is one product over all places, as in Appleyard et al. (2016,
  https://arxiv.org/abs/1604.01946), not one a place and a sum.
- All that is not a product is one function a place, forwards and backwards, compiled by XLA:
  TensorFlow would start a dozen kernels. The products stay outside, where oneDNN multiplies
  bfloat16 with the processor's own instructions; XLA's CPU compiler converts to float32.

Arrays are time-major: `[seq_len, batch, ...]`.
"""

from typing import Any

import tensorflow as tf

from trainer.models.parts.sequences import array, rows, side_by_side, sizes


def scan(
    cell: Any,
    projected: tf.Tensor,
    state: list[tf.Tensor],
    resets: tf.Tensor | None,
    *,
    recurrent_kernel: tf.Tensor,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Runs an LSTM's cell over a sequence. Eagerly, its gradient may be taken once.

    Args:
        cell: a built `keras.layers.LSTMCell` with Keras's default activations, without dropout
            of its own.
        projected: `[seq_len, batch, 4 * units]`, from `project` or `project_ids`.
        state: `[hidden, cell state]` before the first place, each `[batch, units]`.
        resets: `[seq_len, batch]` bool, true where the state is zeroed before a place; None
            for nowhere.
        recurrent_kernel: the cell's own, or what takes its place.

    Returns:
        The outputs, `[seq_len, batch, units]` of the cell's compute dtype, and the state after
        the last place, of the given state's dtypes.
    """
    keep = None if resets is None else tf.cast(~resets[..., tf.newaxis], tf.float32)
    dtype = cell.compute_dtype

    @tf.custom_gradient
    def run(projected: tf.Tensor, kernel: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor) -> Any:
        outputs, carries, gates = _forward(projected, kernel, hidden, carry, keep)

        def gradient(output_gradients: tf.Tensor, carry_gradient: tf.Tensor) -> Any:
            before = tf.concat([hidden[tf.newaxis], outputs[:-1]], axis=0)
            to_projected, *to_state = _backward(
                kernel, carries, gates, keep, output_gradients, carry_gradient
            )
            if keep is not None:
                before *= tf.cast(keep, dtype)
            to_kernel = tf.matmul(rows(before), rows(to_projected), transpose_a=True)
            return tf.cast(to_projected, projected.dtype), to_kernel, *to_state

        return (outputs, carries.read(sizes(projected)[0])), gradient

    hidden, carry = state
    outputs, last = run(
        projected,
        tf.cast(recurrent_kernel, dtype),
        tf.cast(hidden, dtype),
        tf.cast(carry, tf.float32),
    )
    return outputs, [tf.cast(outputs[-1], hidden.dtype), tf.cast(last, carry.dtype)]


def _forward(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    hidden: tf.Tensor,
    carry: tf.Tensor,
    keep: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.TensorArray, tf.TensorArray]:
    """Returns the outputs, the `seq_len + 1` cell states (the first one given), the gates."""
    seq_len, _, width = sizes(projected)
    units = width // 4

    def advance(
        place: tf.Tensor,
        hidden: tf.Tensor,
        carry: tf.Tensor,
        outputs: tf.TensorArray,
        carries: tf.TensorArray,
        gates: tf.TensorArray,
    ) -> Any:
        if keep is not None:
            hidden = hidden * tf.cast(keep[place], hidden.dtype)
            carry = carry * keep[place]
        hidden, carry, gate = _activate(gates.read(place), tf.matmul(hidden, kernel), carry)
        outputs, gates = outputs.write(place, hidden), gates.write(place, gate)
        return place + 1, hidden, carry, outputs, carries.write(place + 1, carry), gates

    batch = projected.shape[1]
    outputs = array(seq_len, [batch, units], kernel.dtype)
    carries = array(seq_len + 1, [batch, units], tf.float32).write(0, carry)
    # A place's gates take the place of its projection: XLA needs no second array, nor zeros in it.
    gates = array(seq_len, [batch, width], kernel.dtype).unstack(projected)
    *_, outputs, carries, gates = tf.while_loop(
        lambda place, *_: place < seq_len,
        advance,
        (tf.constant(0), hidden, carry, outputs, carries, gates),
        maximum_iterations=seq_len,  # XLA must know
    )
    return outputs.stack(), carries, gates


def _backward(
    kernel: tf.Tensor,
    carries: tf.TensorArray,
    gates: tf.TensorArray,
    keep: tf.Tensor | None,
    output_gradients: tf.Tensor,
    carry_gradient: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the gradients to `projected`, of the kernel's dtype, and to the first state."""
    last = sizes(output_gradients)[0] - 1
    transposed = tf.transpose(kernel)  # once: oneDNN multiplies by a transposed one more slowly

    def retreat(
        place: tf.Tensor,
        to_hidden: tf.Tensor,
        to_carry: tf.Tensor,
        to_gates: tf.Tensor,
        found: tf.TensorArray,
    ) -> Any:
        # What was found a place ago takes the place of gates that were read then. Written at once,
        # XLA would copy the array: it cannot see that all has been read.
        found = found.write(tf.minimum(place + 1, last), to_gates)
        before = carries.read(place)
        if keep is not None:
            before = before * keep[place]
        to_gates, to_carry = _differentiate(
            found.read(place),
            carries.read(place + 1),
            before,
            output_gradients[place],
            to_hidden,
            to_carry,
        )
        to_hidden = tf.matmul(to_gates, transposed)
        if keep is not None:
            to_hidden = to_hidden * tf.cast(keep[place], to_hidden.dtype)
            to_carry = to_carry * keep[place]
        return place - 1, to_hidden, to_carry, to_gates, found

    unchanged = gates.read(last)  # the last place's own, written back before anything is found
    _, to_hidden, to_carry, to_gates, found = tf.while_loop(
        lambda place, *_: place >= 0,
        retreat,
        (last, tf.zeros_like(output_gradients[0]), carry_gradient, unchanged, gates),
        maximum_iterations=last + 1,
    )
    return found.write(0, to_gates).stack(), to_hidden, to_carry


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _activate(
    projected: tf.Tensor, recurrent: tf.Tensor, carry: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `h[t]`, `c[t]` (float32) and the four gates, `h` and gates of `recurrent`'s dtype."""
    dtype, units = recurrent.dtype, tf.shape(carry)[-1]
    z = tf.cast(projected, tf.float32) + tf.cast(recurrent, tf.float32)
    # All four in one pass: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2. XLA's tanh is a quotient of
    # polynomials; its sigmoid takes an exponential.
    scale = tf.repeat([0.5, 0.5, 1.0, 0.5], units)
    shift = tf.repeat([0.5, 0.5, 0.0, 0.5], units)
    gates = scale * tf.tanh(scale * z) + shift
    i, f, g, o = tf.split(gates, 4, axis=-1)
    carry = f * carry + i * g
    return tf.cast(o * tf.tanh(carry), dtype), carry, tf.cast(gates, dtype)


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _differentiate(
    gates: tf.Tensor,
    carry: tf.Tensor,
    carry_before: tf.Tensor,
    output_gradient: tf.Tensor,
    to_hidden: tf.Tensor,
    to_carry: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `dz`, of the gates' dtype, and what goes on to `c[t-1]`, float32."""
    i, f, g, o = tf.split(tf.cast(gates, tf.float32), 4, axis=-1)
    squashed = tf.tanh(carry)
    to_hidden = tf.cast(to_hidden, tf.float32) + tf.cast(output_gradient, tf.float32)
    to_carry = to_carry + to_hidden * o * (1 - squashed * squashed)
    to_gates = side_by_side(
        to_carry * g * i * (1 - i),
        to_carry * carry_before * f * (1 - f),
        to_carry * i * (1 - g * g),
        to_hidden * squashed * o * (1 - o),
        dtype=gates.dtype,
    )
    return to_gates, to_carry * f
