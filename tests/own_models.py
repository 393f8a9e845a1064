"""Models as a user writes them, for `--model own_models:NAME`, and some that cannot work."""

from typing import Any

import keras
import tensorflow as tf


def recurrent(vocabulary_size: int, config: Any) -> keras.Model:
    layers = [keras.layers.Embedding(vocabulary_size, config.embedding_size)]
    for index in range(config.layers):
        sequences = config.targets == "sequence" or index + 1 < config.layers
        rnn = keras.layers.SimpleRNN(config.units, return_sequences=sequences, seed=config.seed)
        layers.append(rnn)
        layers.append(keras.layers.Dropout(config.dropout, seed=config.seed))
    return keras.Sequential([*layers, keras.layers.Dense(vocabulary_size)])


def functional(vocabulary_size: int, config: Any) -> keras.Model:
    """Takes windows of `seq_len` tokens and no others."""
    inputs = keras.Input([config.seq_len], dtype="int32")
    hidden = keras.layers.Embedding(vocabulary_size, config.units)(inputs)
    hidden = keras.layers.Conv1D(config.units, 3, padding="causal", activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(vocabulary_size)(hidden))


def bidirectional(vocabulary_size: int, config: Any) -> keras.Model:
    sequences = config.targets == "sequence"
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size, 8),
            keras.layers.Bidirectional(keras.layers.GRU(8, return_sequences=sequences)),
            keras.layers.Dense(vocabulary_size),
        ]
    )


def bidirectional_softmax(vocabulary_size: int, config: Any) -> keras.Model:
    return keras.Sequential([bidirectional(vocabulary_size, config), keras.layers.Softmax()])


def too_wide(vocabulary_size: int, config: Any) -> keras.Model:
    return keras.Sequential([keras.layers.Embedding(vocabulary_size, vocabulary_size + 1)])


def of_floats(vocabulary_size: int, config: Any) -> keras.Model:
    return keras.Sequential([keras.Input([config.seq_len, 3]), keras.layers.Dense(4)])


def no_model(vocabulary_size: int, config: Any) -> Any:
    return tf.zeros([vocabulary_size])


not_a_function = 3


@keras.saving.register_keras_serializable("tests")
class SmallOutputs(keras.layers.Layer):
    """Adds a loss of its own, as a mixture of experts does to balance them."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        self.add_loss(20.0 * keras.ops.mean(keras.ops.square(inputs)))
        return inputs


def penalised(vocabulary_size: int, config: Any) -> keras.Model:
    """Has a weight's regulariser and a layer that adds a loss."""
    l2 = keras.regularizers.L2(0.05)
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size, config.units),
            SmallOutputs(),
            keras.layers.SimpleRNN(config.units, return_sequences=True, seed=config.seed),
            keras.layers.Dense(vocabulary_size, kernel_regularizer=l2),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class Measured(keras.layers.Layer):
    """Keeps a metric of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.mean = keras.metrics.Mean(name="mean")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        self.mean.update_state(inputs)
        return inputs


def normalised(vocabulary_size: int, config: Any) -> keras.Model:
    """Normalises over the rows of all replicas, and has a metric."""
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size, config.units),
            keras.layers.BatchNormalization(momentum=0.5, synchronized=True),
            Measured(),
            keras.layers.SimpleRNN(config.units, return_sequences=True, seed=config.seed),
            keras.layers.Dense(vocabulary_size),
        ]
    )


def softmax(vocabulary_size: int, config: Any) -> keras.Model:
    network = recurrent(vocabulary_size, config)
    if config.precision != "float32":
        keras.utils.set_random_seed(config.seed)
        network = keras.Sequential(
            [
                keras.layers.Embedding(vocabulary_size, config.units, dtype=config.dtype_policy),
                keras.layers.Dense(vocabulary_size, dtype=config.dtype_policy),
            ]
        )
    return keras.Sequential([network, keras.layers.Softmax(dtype=config.dtype_policy)])


def original(vocabulary_size: int, config: Any) -> keras.Model:
    """The layers of Keras's `lstm_text_generation.py`, whose one-hot windows are made first."""
    one_hot = keras.layers.Embedding(
        vocabulary_size, vocabulary_size, embeddings_initializer="identity", trainable=False
    )
    sequences = config.targets == "sequence"
    lstm = keras.layers.LSTM(128, return_sequences=sequences, seed=config.seed)
    return keras.Sequential([one_hot, lstm, keras.layers.Dense(vocabulary_size, "softmax")])


def mixture(vocabulary_size: int, config: Any) -> keras.Model:
    """Probabilities that are no softmax: their mean."""
    tokens = keras.Input([config.seq_len], dtype="int32")
    hidden = keras.layers.Embedding(vocabulary_size, config.units)(tokens)
    if config.targets == "last":
        hidden = keras.layers.Flatten()(hidden)
    both = [keras.layers.Dense(vocabulary_size, "softmax")(hidden) for _ in range(2)]
    return keras.Model(tokens, keras.layers.Average()(both))


def stateful(vocabulary_size: int, config: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input([config.seq_len], batch_size=2),
            keras.layers.Embedding(vocabulary_size, 8),
            keras.layers.Bidirectional(keras.layers.LSTM(8, stateful=True)),
            keras.layers.Dense(vocabulary_size),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class Hard(keras.layers.Layer):
    """Rounds, through which no gradient comes; or has a weight that it does not use."""

    def __init__(self, rounds: bool, **options: Any) -> None:
        super().__init__(**options)
        self.rounds = rounds

    def build(self, input_shape: Any) -> None:
        self.idle = self.add_weight(shape=(3,), name="idle", trainable=not self.rounds)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(inputs, tf.int32), tf.float32) if self.rounds else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rounds": self.rounds}


def rounding(vocabulary_size: int, config: Any, rounds: bool = True) -> keras.Model:
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size, 8, name="inner"),
            Hard(rounds, name="hard"),
            keras.layers.Dense(vocabulary_size),
        ],
        name="own",
    )


def idle(vocabulary_size: int, config: Any) -> keras.Model:
    return rounding(vocabulary_size, config, rounds=False)


def weightless(vocabulary_size: int, config: Any) -> keras.Model:
    network = rounding(vocabulary_size, config)
    network.trainable = False
    return network


class NoConfig(keras.Model):
    """Is made from an object that no file can hold."""

    def __init__(self, vocabulary_size: int, config: Any) -> None:
        super().__init__()
        self.embedding = keras.layers.Embedding(vocabulary_size, vocabulary_size)

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        return self.embedding(tokens)


def no_config(vocabulary_size: int, config: Any) -> keras.Model:
    return NoConfig(vocabulary_size, config)


def local(vocabulary_size: int, config: Any) -> keras.Model:
    class Local(keras.layers.Layer):
        """Cannot be imported, and is not registered."""

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs

    embedding = keras.layers.Embedding(vocabulary_size, vocabulary_size)
    return keras.Sequential([embedding, Local()])
