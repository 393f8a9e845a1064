"""Face of every kind of model: what training, sampling and export ask of it."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from trainer.models.head import Head

State = Any  # a nested structure of tensors; its kind is the model's own business


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a model is, wherever it computes.

    Attributes:
        vocabulary_size: number of token ids.
        num_layers: number of recurrent layers, or of blocks.
        units: width of the model, and of a recurrent layer's state.
        dropout: share of what a layer, or a part of a block, gives that training drops.
        targets: `"sequence"` for logits at every place of a window, `"last"` for the
            last place alone.
        seed: start of the dropout layers' seed streams. Initial weights come from
            Keras' global seed (`keras.utils.set_random_seed`).
    """

    vocabulary_size: int
    num_layers: int
    units: int
    dropout: float = 0.0
    targets: str = "sequence"
    seed: int = 0


class LanguageModel(keras.Model):
    """Tokens -> logits of the next token, for whole windows and token by token.

    `call` and `step` use the same weights and agree to float tolerance: `step` over a
    window's tokens gives the logits that `call` gives at each of its places.

    Attributes:
        embedding: ids -> vectors, a layer with `embeddings`; a user's own model has none.
    """

    embedding: keras.layers.Embedding

    def build(self, input_shape: Any = None) -> None:
        """Creates every weight without running the model; shapes do not depend on windows."""
        raise NotImplementedError

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
        return self.head(tokens, training=training).logits()

    def head(self, tokens: tf.Tensor, training: bool = False) -> Head:
        """Maps windows to logits that are not computed yet: a loss needs them in parts only.

        Args:
            tokens: as of `call`; `training` too.
            training: whether dropout acts.
        """
        raise NotImplementedError

    def read(
        self, tokens: tf.Tensor, resets: tf.Tensor, state: State, training: bool = False
    ) -> tuple[Head, State]:
        """Reads windows that go on where others ended; only for kinds that carry a state on.

        Args:
            tokens: `[batch, seq_len]` int32 ids.
            resets: `[batch, seq_len]` bool; True where a row forgets what came before a token.
            state: what `initial_state`, `read` or `step` returned.
            training: whether dropout acts.

        Returns:
            The logits `[batch, seq_len, vocabulary_size]` of the token after each place, not
            computed yet, and the state after the last one.
        """
        raise NotImplementedError

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns the state before any token, a nested structure of tensors."""
        raise NotImplementedError

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Reads one token a row: the cost does not depend on how many came before.

        Args:
            tokens: `[batch]` int32 ids.
            state: what `initial_state` or the previous `step` returned.

        Returns:
            `[batch, vocabulary_size]` float32 logits of the next token, and the new state,
            of the same structure, shapes and dtypes.
        """
        raise NotImplementedError
