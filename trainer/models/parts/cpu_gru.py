"""GRU layer's sequence on a CPU: Keras's weights, values and gradients, in less time.

The cell is that of Cho et al. (2014, https://arxiv.org/abs/1406.1078) with the candidate's reset
after the product, as cuDNN and Keras have it, gates in Keras's order `z, r, n`. With `p` an input
times the kernel plus its bias, `q[t] = h[t-1] U + b`, `U` the recurrent kernel and `b` its bias:

    z, r = sigmoid(p + q)   of the first two parts
    n    = tanh(p + r q)    of the third
    h[t] = z h[t-1] + (1 - z) n

and backwards, `dh` being what arrives at `h[t]` from all that comes later:

    dn = dh (1 - z) (1 - n^2)     dz = dh (h[t-1] - n) z (1 - z)     dr = dn q r (1 - r)
    to p[t]: [dz, dr, dn]    to q[t]: dq = [dz, dr, dn r]    to h[t-1]: dh z + dq U'
    to U: the sum over t of h[t-1]' dq    to b: the sum of dq

What is done for speed is said in `cpu_lstm`. The state is float32 from place to place, whatever is
multiplied. Arrays are time-major: `[seq_len, batch, ...]`.
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
    """Runs a GRU's cell over a sequence. Eagerly, its gradient may be taken once.

    Args:
        cell: a built `keras.layers.GRUCell` with Keras's default activations and `reset_after`,
            without dropout of its own.
        projected: `[seq_len, batch, 3 * units]`, from `project` or `project_ids`.
        state: `[hidden]` before the first place, `[batch, units]`.
        resets: `[seq_len, batch]` bool, true where the state is zeroed before a place; None
            for nowhere.
        recurrent_kernel: the cell's own, or what takes its place.

    Returns:
        The outputs, `[seq_len, batch, units]` of the cell's compute dtype, and the state after
        the last place, of the given state's dtype.
    """
    keep = None if resets is None else tf.cast(~resets[..., tf.newaxis], tf.float32)
    dtype = cell.compute_dtype

    @tf.custom_gradient
    def run(projected: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, hidden: tf.Tensor) -> Any:
        hiddens, gates, inners = _forward(projected, kernel, bias, hidden, keep)
        states = hiddens.stack()

        def gradient(output_gradients: tf.Tensor, last_gradient: tf.Tensor) -> Any:
            before = tf.cast(states[:-1], dtype)
            if keep is not None:
                before *= tf.cast(keep, dtype)
            to_recurrent, to_candidate, to_state = _backward(
                kernel, hiddens, gates, inners, keep, output_gradients, last_gradient
            )
            to_kernel = tf.matmul(rows(before), rows(to_recurrent), transpose_a=True)
            units = kernel.shape[0]
            to_projected = tf.concat([to_recurrent[..., : 2 * units], to_candidate], axis=-1)
            to_bias = _sum_rows(rows(to_recurrent))
            return tf.cast(to_projected, projected.dtype), to_kernel, to_bias, to_state

        return (tf.cast(states[1:], dtype), states[-1]), gradient

    (hidden,) = state
    outputs, last = run(
        projected,
        tf.cast(recurrent_kernel, dtype),
        tf.convert_to_tensor(cell.bias)[1],
        tf.cast(hidden, tf.float32),
    )
    return outputs, [tf.cast(last, hidden.dtype)]


def _forward(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    hidden: tf.Tensor,
    keep: tf.Tensor | None,
) -> tuple[tf.TensorArray, tf.TensorArray, tf.TensorArray]:
    """Returns the `seq_len + 1` states (the first one given), gates, and `q`'s third part."""
    seq_len, _, width = sizes(projected)
    units = width // 3

    def advance(
        place: tf.Tensor,
        hidden: tf.Tensor,
        output: tf.Tensor,
        hiddens: tf.TensorArray,
        gates: tf.TensorArray,
        inners: tf.TensorArray,
    ) -> Any:
        if keep is not None:
            hidden = hidden * keep[place]
            output = output * tf.cast(keep[place], output.dtype)
        recurrent = tf.matmul(output, kernel)
        hidden, output, gate, inner = _activate(gates.read(place), recurrent, bias, hidden)
        hiddens, gates = hiddens.write(place + 1, hidden), gates.write(place, gate)
        return place + 1, hidden, output, hiddens, gates, inners.write(place, inner)

    batch = projected.shape[1]
    hiddens = array(seq_len + 1, [batch, units], tf.float32).write(0, hidden)
    # A place's gates take the place of its projection: XLA needs no second array, nor zeros in it.
    gates = array(seq_len, [batch, width], kernel.dtype).unstack(projected)
    inners = array(seq_len, [batch, units], kernel.dtype)
    *_, hiddens, gates, inners = tf.while_loop(
        lambda place, *_: place < seq_len,
        advance,
        (tf.constant(0), hidden, tf.cast(hidden, kernel.dtype), hiddens, gates, inners),
        maximum_iterations=seq_len,  # XLA must know
    )
    return hiddens, gates, inners


def _backward(
    kernel: tf.Tensor,
    hiddens: tf.TensorArray,
    gates: tf.TensorArray,
    inners: tf.TensorArray,
    keep: tf.Tensor | None,
    output_gradients: tf.Tensor,
    last_gradient: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `dq` and `dn` of all places, of the kernel's dtype, and the gradient to `h[0]`."""
    last = sizes(output_gradients)[0] - 1
    transposed = tf.transpose(kernel)  # once: oneDNN multiplies by a transposed one more slowly

    def retreat(
        place: tf.Tensor,
        product: tf.Tensor,
        to_hidden: tf.Tensor,
        to_recurrent: tf.Tensor,
        to_candidate: tf.Tensor,
        found: tf.TensorArray,
        found_candidates: tf.TensorArray,
    ) -> Any:
        # What was found a place ago takes the place of what was read then: see `cpu_lstm`.
        found = found.write(tf.minimum(place + 1, last), to_recurrent)
        found_candidates = found_candidates.write(tf.minimum(place + 1, last), to_candidate)
        before = hiddens.read(place)
        if keep is not None:
            before = before * keep[place]
        to_recurrent, to_candidate, to_hidden = _differentiate(
            found.read(place),
            found_candidates.read(place),
            before,
            output_gradients[place],
            product,
            to_hidden,
        )
        product = tf.matmul(to_recurrent, transposed)
        if keep is not None:
            product = product * tf.cast(keep[place], product.dtype)
            to_hidden = to_hidden * keep[place]
        return place - 1, product, to_hidden, to_recurrent, to_candidate, found, found_candidates

    # The last place's own are written back before anything is found.
    unchanged = gates.read(last), inners.read(last)
    _, product, to_hidden, to_recurrent, to_candidate, found, found_candidates = tf.while_loop(
        lambda place, *_: place >= 0,
        retreat,
        (last, tf.zeros_like(output_gradients[0]), last_gradient, *unchanged, gates, inners),
        maximum_iterations=last + 1,
    )
    return (
        found.write(0, to_recurrent).stack(),
        found_candidates.write(0, to_candidate).stack(),
        to_hidden + tf.cast(product, tf.float32),
    )


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _activate(
    projected: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor, hidden: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `h[t]` (float32), and of `recurrent`'s dtype `h[t]`, the gates and `q`'s third."""
    dtype, units = recurrent.dtype, tf.shape(hidden)[-1]
    inputs = tf.cast(projected, tf.float32)
    recurrent = tf.cast(recurrent, tf.float32) + bias
    # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: XLA's tanh is a quotient of polynomials; its sigmoid
    # takes an exponential.
    sums = inputs[:, : 2 * units] + recurrent[:, : 2 * units]
    z, r = tf.split(0.5 * tf.tanh(0.5 * sums) + 0.5, 2, axis=-1)
    inner = recurrent[:, 2 * units :]
    n = tf.tanh(inputs[:, 2 * units :] + r * inner)
    hidden = z * hidden + (1 - z) * n
    gates = side_by_side(z, r, n, dtype=dtype)
    return hidden, tf.cast(hidden, dtype), gates, tf.cast(inner, dtype)


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _differentiate(
    gates: tf.Tensor,
    inner: tf.Tensor,
    before: tf.Tensor,
    output_gradient: tf.Tensor,
    product: tf.Tensor,
    to_hidden: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `dq` and `dn`, of the gates' dtype, and `dh z`, float32.

    What arrives is the sum of the last three: at the output, by the product and beside it.
    """
    z, r, n = tf.split(tf.cast(gates, tf.float32), 3, axis=-1)
    to_hidden += tf.cast(product, tf.float32) + tf.cast(output_gradient, tf.float32)
    to_candidate = to_hidden * (1 - z) * (1 - n * n)
    to_recurrent = side_by_side(
        to_hidden * (before - n) * z * (1 - z),
        to_candidate * tf.cast(inner, tf.float32) * r * (1 - r),
        to_candidate * r,
        dtype=gates.dtype,
    )
    return to_recurrent, tf.cast(to_candidate, gates.dtype), to_hidden * z


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _sum_rows(gradients: tf.Tensor) -> tf.Tensor:
    """Returns `[width]` float32: the sum of the rows `[..., width]`."""
    return tf.reduce_sum(tf.cast(gradients, tf.float32), axis=0)
