"""Face of every kind of model: what training, sampling and export ask of it."""

from typing import Any

import keras
import tensorflow as tf

State = Any  # a nested structure of tensors; its kind is the model's own business


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
        raise NotImplementedError

    def tied_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns products with the embeddings, float32 under any policy: a loss needs the digits.

        Args:
            hidden: `[..., units]`, as wide as the embeddings.
        """
        vectors = tf.cast(tf.convert_to_tensor(self.embedding.embeddings), tf.float32)
        # One product of two matrices. An `einsum` with dots would take its gradient from a tensor
        # of every place, id and unit: 34 GB for 64 x 64 places, 8,192 ids and 256 units.
        rows = tf.reshape(tf.cast(hidden, tf.float32), [-1, vectors.shape[1]])
        rows = tf.matmul(rows, vectors, transpose_b=True)
        return tf.reshape(rows, [*keras.ops.shape(hidden)[:-1], vectors.shape[0]])

    def read(
        self, tokens: tf.Tensor, resets: tf.Tensor, state: State, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """Reads windows that go on where others ended; only for kinds that carry a state on.

        Args:
            tokens: `[batch, seq_len]` int32 ids.
            resets: `[batch, seq_len]` bool; True where a row forgets what came before a token.
            state: what `initial_state`, `read` or `step` returned.
            training: whether dropout acts.

        Returns:
            `[batch, seq_len, vocabulary_size]` float32 logits of the token after each place,
            and the state after the last one.
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
