"""Models of a user's own behind the face of the others: `--model MODULE:FUNCTION`.

`FUNCTION(vocabulary_size, config)` returns a `keras.Model` that maps tokens `[batch, seq_len]`
to logits or, with `--outputs probabilities`, to probabilities. `config` is the run's
`TrainConfig`: a function that reads `config.units` has made `--units` an option of its model.
"""

import json
import random
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import UserError, first_line
from trainer.config import TrainConfig
from trainer.models.head import Head
from trainer.models.language_model import LanguageModel, State
from trainer.own_code import load_function, type_text

_LOOK_AHEAD = 1e-3  # of the largest logit: more than rounding
_SUM_ERROR = 0.02  # of probabilities: more than rounding, in half precision too


@keras.saving.register_keras_serializable("textreel")
class CustomModel(LanguageModel):
    """Any Keras model from windows of tokens to logits, or to probabilities.

    Generating reads the last `seq_len` tokens anew for every token. Before there are so many,
    they stand at the start of the window and the logits of the last of them are taken, which
    is right as no place sees what is after it. With targets `"last"` they stand at the end,
    after ids 0 (the separators of bytes and characters).

    Args:
        network: tokens `[batch, seq_len]` int32 -> logits of any float dtype.
        seq_len: tokens of a window.
        targets: whether the logits are of every place (`"sequence"`) or of the last one.
        outputs: what the network gives: `"logits"`, or `"probabilities"`, whose logarithms are
            then the logits of this model (see `_logits_of`).
    """

    def __init__(
        self, *, network: keras.Model, seq_len: int, targets: str, outputs: str = "logits"
    ) -> None:
        super().__init__(name="custom_model")
        self.network = network
        self._seq_len = seq_len
        self._targets = targets
        self._gives = outputs

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, the network serialised by Keras."""
        network = keras.saving.serialize_keras_object(self.network)
        return {
            "network": network,
            "seq_len": self._seq_len,
            "targets": self._targets,
            "outputs": self._gives,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CustomModel":
        """Builds the model that `get_config` describes."""
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(**{**config, "network": network})

    def build(self, input_shape: Any = None) -> None:
        """See `LanguageModel.build`; the network is run once, for some build only then."""
        del input_shape
        self.network(tf.zeros([1, self._seq_len], tf.int32))
        self.built = True

    def head(self, tokens: tf.Tensor, training: bool = False) -> Head:
        """See `LanguageModel.head`; here the logits are computed."""
        return Head(self(tokens, training=training))

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See `LanguageModel.call`; Keras tells the network's layers whether this is training."""
        del training
        values = self.network(tokens)
        return tf.cast(values if self._gives == "logits" else _logits_of(values), tf.float32)

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """The window, `[batch, seq_len]` int32, and how many tokens are in it, a scalar."""
        return [tf.zeros([batch_size, self._seq_len], tf.int32), tf.constant(0)]

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.step`; here the cost is that of a whole window."""
        window, num_tokens = state
        shifted = tf.concat([window[:, 1:], tokens[:, tf.newaxis]], axis=1)
        if self._targets == "last":
            return self(shifted), [shifted, num_tokens]
        place = tf.minimum(num_tokens, self._seq_len - 1)
        is_new = tf.range(self._seq_len) == place
        filled = tf.where(is_new, tokens[:, tf.newaxis], window)
        window = tf.where(num_tokens < self._seq_len, filled, shifted)
        num_tokens = tf.minimum(num_tokens + 1, self._seq_len)
        return tf.gather(self(window), place, axis=1), [window, num_tokens]


def _logits_of(probabilities: tf.Tensor) -> tf.Tensor:
    """Logarithms of probabilities, as Keras's `sparse_categorical_crossentropy` takes them.

    In a graph, what a softmax at the end was given: the same but for a constant, and no gradient
    is lost where a probability is rounded to 0. Elsewhere the probabilities are clipped first, to
    Keras's epsilon (1e-7) and 1 less that.
    """
    if tf.is_symbolic_tensor(probabilities) and probabilities.op.type == "Softmax":
        return probabilities.op.inputs[0]
    epsilon = keras.config.epsilon()
    values = tf.cast(probabilities, tf.float32)  # in half precision, 1e-7 is 0 or 1 - 1e-7 is 1
    return tf.math.log(tf.clip_by_value(values, epsilon, 1 - epsilon))


def build_custom_model(config: TrainConfig, vocabulary_size: int) -> CustomModel:
    """Calls the user's function and checks what it returns.

    Args:
        config: the run's options; `model` names the function.
        vocabulary_size: number of token ids.

    Raises:
        UserError: there is no such function, it returns no Keras model, or what the model gives
            is of another shape, is not what `outputs` says or depends on the tokens that it
            predicts; none of its layers computes in `precision`, one keeps a state, one has a
            weight that training would never change, or one cannot be made from its options.
    """
    network = load_function(config.model, "model")(vocabulary_size, config)
    if not isinstance(network, keras.Model):
        raise UserError(
            f"`model` {config.model} must return a keras.Model, got {type_text(network)}; return "
            "the model itself"
        )
    computed_in = {layer.compute_dtype for layer in network._flatten_layers()}
    if config.precision != "float32" and config.precision not in computed_in:
        raise UserError(
            f"`model` {config.model} does not compute in `precision` {config.precision}: none of "
            "its layers does; build them with dtype=config.dtype_policy, or leave --precision out"
        )
    # Two windows that differ in their last token.
    tokens = np.arange(config.seq_len) % vocabulary_size * np.ones([2, 1], int)
    tokens[1, -1] = (tokens[1, -1] + 1) % vocabulary_size
    try:
        logits = tf.convert_to_tensor(network(tf.constant(tokens, tf.int32)))
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise UserError(
            f"`model` {config.model}: the model does not take tokens of shape [batch, seq_len] "
            f"= {list(tokens.shape)} int32: {error}"
        ) from error
    window = [config.seq_len] if config.targets == "sequence" else []
    expected = [len(tokens), *window, vocabulary_size]
    if logits.shape.as_list() != expected or not logits.dtype.is_floating:
        names = "[batch, seq_len, vocabulary size]" if window else "[batch, vocabulary size]"
        raise UserError(
            f"`model` {config.model}: for tokens of shape {list(tokens.shape)} and --targets "
            f"{config.targets} the model must give {config.outputs} of shape {names} = "
            f"{expected}, got {logits.shape.as_list()} {logits.dtype.name}"
        )
    values = tf.cast(logits, tf.float32).numpy()
    _check_outputs(config, values)
    if config.outputs == "probabilities":
        values = np.log(np.maximum(values, keras.config.epsilon()))
        values -= values.mean(axis=-1, keepdims=True)  # logits of no common size
    if window:
        _check_causal(config.model, values[:, :-1])
    _check_stateless(config.model, network)
    _check_trained(config.model, network, tf.constant(tokens, tf.int32))
    _check_serialisable(config.model, network)
    return CustomModel(
        network=network, seq_len=config.seq_len, targets=config.targets, outputs=config.outputs
    )


def _check_outputs(config: TrainConfig, values: np.ndarray) -> None:
    """Refuses probabilities as logits, and what are none as probabilities.

    As logits, probabilities are nearly equal, and stay so in training.
    """
    sums = values.sum(axis=-1)
    are_probabilities = values.min() >= 0 and np.abs(sums - 1).max() < _SUM_ERROR
    if are_probabilities and config.outputs == "logits":
        raise UserError(
            f"`model` {config.model}: the model must give logits, got probabilities (every row is "
            "at least 0 and sums to 1); take them with --outputs probabilities, or leave out the "
            "softmax at its end"
        )
    if not are_probabilities and config.outputs == "probabilities":
        raise UserError(
            f"`model` {config.model}: with `outputs` probabilities every row that the model gives "
            f"must be at least 0 and sum to 1, got values from {values.min():.4g} and sums from "
            f"{sums.min():.4g} to {sums.max():.4g}; end the model in a softmax over the ids, or "
            "leave --outputs out if it gives logits"
        )


def _check_causal(name: str, logits: np.ndarray) -> None:
    """Refuses a model whose logits depend on later tokens: it would be told what to predict."""
    difference = np.abs(logits[0] - logits[1]).max(initial=0.0)
    if difference > _LOOK_AHEAD * np.abs(logits).max(initial=0.0):
        raise UserError(
            f"`model` {name}: the model's logits depend on later tokens of the window, so it "
            "would see what it is to predict (a bidirectional layer, or attention without "
            "`use_causal_mask=True`?); let a place see only the tokens up to it, or train with "
            "--targets last"
        )


def _check_stateless(name: str, network: keras.Model) -> None:
    """Refuses a state that goes from window to window: the next one is of another text."""
    for layer in network._flatten_layers():
        if getattr(layer, "stateful", False):
            raise UserError(
                f"`model` {name}: the layer {layer.name} is stateful, but windows are shuffled: "
                "its state would be of another text; leave stateful=True out, or train --model "
                "lstm or gru with --lanes"
            )


def _check_trained(name: str, network: keras.Model, tokens: tf.Tensor) -> None:
    """Refuses weights without a gradient. Traces training, and runs nothing of it."""
    traced: list[list[bool]] = []  # of each replica, the same

    def train() -> None:
        with tf.GradientTape() as tape:
            logits = network(tokens, training=True)
            loss = tf.add_n([_sum(value) for value in (logits, *network.losses)])
        weights = [weight.value for weight in network.trainable_variables]
        traced.append([gradient is not None for gradient in tape.gradient(loss, weights)])

    # In a replica's context: outside of it, a tape does not see the weights of several.
    strategy = tf.distribute.get_strategy()
    tf.function(lambda: strategy.run(train), autograph=False).get_concrete_function()
    found = traced[0]
    if not found:
        raise UserError(f"`model` {name} must have weights to be trained, got none")
    lacking = [
        weight.path
        for weight, has_gradient in zip(network.trainable_variables, found, strict=True)
        if not has_gradient
    ]
    if lacking:
        raise UserError(
            f"`model` {name}: training would never change {', '.join(lacking)}, for no gradient "
            "comes to it: nothing uses it, or an operation after it has no gradient (argmax, a "
            "cast to integers, NumPy). Use it, or build its layer with trainable=False"
        )


def _sum(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(values, tf.float32))


def _check_serialisable(name: str, network: keras.Model) -> None:
    """Refuses what an export could not write: now, and not when days were spent on it."""
    drawn = random.getstate()  # initializers without a seed draw one
    try:
        config = keras.saving.serialize_keras_object(network)
        json.dumps(config)
        keras.saving.deserialize_keras_object(config)
    except Exception as error:  # a user's own code may raise anything
        raise UserError(
            f"`model` {name}: the model cannot be made again from its options, which an export "
            f"needs ({type(error).__name__}: {first_line(error)}); give each class of your own a "
            "`get_config` with the arguments of its `__init__`, and decorate it with "
            "@keras.saving.register_keras_serializable()"
        ) from error
    finally:
        random.setstate(drawn)
