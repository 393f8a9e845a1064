"""MinGRU: a recurrent layer whose gate does not look at the state, so that places go in parallel.

Feng et al. 2024, "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201. With `x` the input:

    z[t] = sigmoid(x[t] Wz + bz)
    h[t] = z[t] h[t-1] + (1 - z[t]) (x[t] Wh + bh)

A linear recurrence `h[t] = a[t] h[t-1] + b[t]` with `0 < a < 1`: an associative scan, in
log(seq_len) rounds. It is Keras's GRU without recurrent kernel and with a linear activation, whose
`z` is that of the state, not of the candidate as in the paper.
"""

from typing import Any

import keras
import tensorflow as tf


class MinGRUCell(keras.layers.Layer):
    """One place of a `MinGRU`.

    Args:
        units: width of the state and of the output.
    """

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: Any) -> None:
        """Creates the weights: of the gate, then of the candidate."""
        width = input_shape[-1]
        self.kernel = self.add_weight(shape=(width, 2 * self.units), name="kernel")
        self.bias = self.add_weight(shape=(2 * self.units,), initializer="zeros", name="bias")
        self.built = True

    def get_initial_state(self, batch_size: int | tf.Tensor) -> list[tf.Tensor]:
        """Zeros, `[batch, units]`."""
        return [tf.zeros([batch_size, self.units], self.compute_dtype)]

    def call(self, inputs: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Maps `[batch, width]` and the state to the output and the new state, the same."""
        decay, addend = self.recurrence(inputs)
        hidden = decay * tf.cast(states[0], tf.float32) + addend
        hidden = tf.cast(hidden, self.compute_dtype)
        return hidden, [hidden]

    def recurrence(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `a` and `b` of `h[t] = a[t] h[t-1] + b[t]`, `[..., units]` float32."""
        projected = keras.ops.matmul(inputs, tf.cast(self.kernel, self.compute_dtype))
        projected = tf.cast(projected, tf.float32) + tf.cast(self.bias, tf.float32)
        gate, candidate = tf.split(projected, 2, axis=-1)
        return tf.sigmoid(gate), tf.sigmoid(-gate) * candidate


class MinGRU(keras.layers.Layer):
    """A layer of MinGRU.

    Args:
        units: width of the output.
        return_sequences: the outputs of all places, not of the last one alone.
    """

    def __init__(self, units: int, *, return_sequences: bool, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.return_sequences = units, return_sequences
        self.cell = MinGRUCell(units, dtype=self.dtype_policy, name="cell")

    def build(self, input_shape: Any) -> None:
        """Creates the cell's weights."""
        self.cell.build(input_shape)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[batch, seq_len, width]`, `seq_len` being static, to the outputs."""
        del training
        outputs, _ = self.scan(inputs, None, self.cell.get_initial_state(tf.shape(inputs)[0]))
        return outputs if self.return_sequences else outputs[:, -1]

    def scan(
        self, inputs: tf.Tensor, keep: tf.Tensor | None, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Runs the cell over a sequence, all places at once.

        Args:
            inputs: `[batch, seq_len, width]`.
            keep: `[batch, seq_len, 1]`, 0 where the state is forgotten before a place, else 1;
                None for nowhere.
            state: before the first place.

        Returns:
            The outputs, `[batch, seq_len, units]`, and the state after the last place.
        """
        decay, addend = self.cell.recurrence(inputs)
        if keep is not None:
            decay *= tf.cast(keep, tf.float32)
        first = addend[:, :1] + decay[:, :1] * tf.cast(state[0], tf.float32)[:, tf.newaxis]
        addend = tf.concat([first, addend[:, 1:]], axis=1)
        hidden = tf.cast(_running(decay, addend), self.compute_dtype)
        return hidden, [hidden[:, -1]]


def _running(decay: tf.Tensor, addend: tf.Tensor) -> tf.Tensor:
    """Returns `h[t] = decay[t] h[t-1] + addend[t]` of all places, `h` being 0 before the first.

    After a round with distance `d`, the two of place `t` lead from place `t - 2d` to it: as `h`
    goes to `a1 h + b1` and then to `a2 (a1 h + b1) + b2`. Hillis and Steele 1986,
    https://doi.org/10.1145/7902.7903. Keras's `associative_scan` has half the sums, but takes no
    batch of unknown size.

    Args:
        decay: `[batch, seq_len, units]`, `seq_len` being static.
        addend: likewise.
    """
    distance = 1
    while distance < decay.shape[1]:
        reached = addend[:, distance:] + decay[:, distance:] * addend[:, :-distance]
        joined = decay[:, distance:] * decay[:, :-distance]
        addend = tf.concat([addend[:, :distance], reached], axis=1)
        decay = tf.concat([decay[:, :distance], joined], axis=1)
        distance *= 2
    return addend
