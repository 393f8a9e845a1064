"""The language model: Embedding -> LSTM layers -> logits over the vocabulary.

`call` reads whole windows for training and evaluation; `step` reads one token and carries
the state, for generation. Both use the same weights and agree to float tolerance.
"""

from typing import Any

import keras
import tensorflow as tf

from trainer.config import TrainConfig

# One entry a layer: the hidden and the cell state, each [batch, units] float32.
State = list[list[tf.Tensor]]


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator whose stream differs from replica to replica.

    A plain generator's state is mirrored, so every replica would draw the same dropout
    mask for its rows. Here the replica's index is folded into each seed that is drawn,
    and the state stays the same everywhere: one checkpoint value restores all replicas.
    """

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns the next seed, `[2]` of the backend's seed dtype, and advances the state."""
        seed = super().next(ordered=ordered)
        context = tf.distribute.get_replica_context()
        index = 0 if context is None else context.replica_id_in_sync_group
        return tf.random.experimental.stateless_fold_in(seed, tf.cast(index, seed.dtype))


class ReplicaDropout(keras.layers.Layer):
    """Inverted dropout that draws its own mask on every replica.

    Args:
        rate: share of the inputs set to 0, at least 0 and below 1.
        seed: start of the seed stream.
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = ReplicaSeedGenerator(seed)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the inputs, in training with a share of them dropped; any shape."""
        if not training or self.rate == 0:
            return inputs
        return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)


class LanguageModel(keras.Model):
    """Embedding -> LSTM x `num_layers`, each followed by dropout -> Dense logits.

    Dropout acts on what leaves a layer, never on the recurrence (Zaremba et al. 2014,
    https://arxiv.org/abs/1409.2329).

    Args:
        vocabulary_size: number of token ids.
        num_layers: number of LSTM layers.
        units: units of each LSTM layer.
        embedding_dim: size of an embedding vector.
        dropout: share of each LSTM layer's outputs that training drops.
        targets: `"sequence"` for logits at every place of a window, `"last"` for the
            last place alone.
        seed: start of the dropout layers' seed streams. Initial weights come from
            Keras' global seed (`keras.utils.set_random_seed`).
        use_cudnn: let a GPU use its cuDNN kernel, which XLA cannot compile.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        num_layers: int,
        units: int,
        embedding_dim: int,
        dropout: float = 0.0,
        targets: str = "sequence",
        seed: int = 0,
        use_cudnn: bool = True,
    ) -> None:
        super().__init__(name="language_model")
        self.units = units
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
        self.recurrent = [
            keras.layers.LSTM(
                units,
                return_sequences=targets == "sequence" or index + 1 < num_layers,
                use_cudnn="auto" if use_cudnn else False,
                name=f"lstm_{index}",
            )
            for index in range(num_layers)
        ]
        self.dropouts = [
            ReplicaDropout(dropout, seed=seed * num_layers + index, name=f"dropout_{index}")
            for index in range(num_layers)
        ]
        self.logits = keras.layers.Dense(vocabulary_size, name="logits")

    def build(self, input_shape: Any = None) -> None:
        """Creates every weight without running the model; shapes do not depend on windows."""
        del input_shape
        self.embedding.build((None, None))
        width = self.embedding.output_dim
        for lstm in self.recurrent:
            lstm.build((None, None, width))
            width = self.units
        for dropout in self.dropouts:
            dropout.build((None, None, width))
        self.logits.build((None, width))
        self.built = True

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps windows to logits.

        Args:
            tokens: `[batch, seq_len]` int32 ids.
            training: whether dropout acts.

        Returns:
            `[batch, seq_len, vocabulary_size]` float32 logits of the token after each
            place, or, with targets `"last"`, `[batch, vocabulary_size]` of the one after
            the window.
        """
        hidden = self.embedding(tokens)
        for lstm, dropout in zip(self.recurrent, self.dropouts, strict=True):
            hidden = dropout(lstm(hidden, training=training), training=training)
        return self.logits(hidden)

    def initial_state(self, batch_size: int) -> State:
        """Returns the state before any token: zeros, hidden and cell, for each layer."""
        zeros = tf.zeros([batch_size, self.units])
        return [[zeros, zeros] for _ in self.recurrent]

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Reads one token a row: the cost does not depend on how many came before.

        Args:
            tokens: `[batch]` int32 ids.
            state: what `initial_state` or the previous `step` returned.

        Returns:
            `[batch, vocabulary_size]` float32 logits of the next token, and the new state.
        """
        hidden = self.embedding(tokens)
        new_state = []
        for lstm, layer_state in zip(self.recurrent, state, strict=True):
            hidden, layer_state = lstm.cell(hidden, layer_state)
            new_state.append(layer_state)
        return self.logits(hidden), new_state


def build_model(config: TrainConfig, vocabulary_size: int, *, use_cudnn: bool) -> LanguageModel:
    """Builds the model that a configuration describes, with initial weights."""
    model = LanguageModel(
        vocabulary_size=vocabulary_size,
        num_layers=config.layers,
        units=config.units,
        embedding_dim=config.embedding_dim,
        dropout=config.dropout,
        targets=config.targets,
        seed=config.seed,
        use_cudnn=use_cudnn,
    )
    model.build()
    return model
