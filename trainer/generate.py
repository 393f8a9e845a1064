"""Text from a trained model: stateful sampling, one model step a token.

The randomness of token `i` depends on `(seed, i)` alone: the same run, prompt, seed and
temperature give the same text, however it is consumed.
"""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.vocabularies import load_vocabulary
from pipeline.vocabulary import Vocabulary
from trainer.checkpoint import restore_weights
from trainer.config import run_config
from trainer.models import LanguageModel, build_model
from trainer.models.language_model import State


def choose_token(logits: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws the next token of each row from softmax(logits / temperature).

    Args:
        logits: `[batch, vocabulary_size]` float32.
        temperature: float32 scalar; 0 takes the likeliest token.
        seed: `[2]` int32.

    Returns:
        `[batch]` int32 ids.
    """
    # Relative to the largest, so that a small temperature gives -inf, never inf.
    logits -= tf.reduce_max(logits, axis=-1, keepdims=True)
    safe_temperature = tf.where(temperature > 0, temperature, 1.0)
    drawn = tf.random.stateless_categorical(logits / safe_temperature, 1, seed, dtype=tf.int32)
    likeliest = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.where(temperature > 0, drawn[:, 0], likeliest)


class Sampler:
    """Generates text from a model; its two compiled functions are traced once each.

    Args:
        model: a built model; its weights are read at every call.
        vocabulary: text <-> ids.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        self._model = model
        self._vocabulary = vocabulary
        state = tf.nest.map_structure(
            lambda part: tf.TensorSpec(part.shape, part.dtype), model.initial_state(1)
        )
        self._read = tf.function(
            self._read_prompt, input_signature=[tf.TensorSpec([None], tf.int32)]
        )
        self._next = tf.function(
            self._next_token,
            input_signature=[
                tf.TensorSpec([1, vocabulary.size], tf.float32),
                state,
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ],
        )

    def _read_prompt(self, tokens: tf.Tensor) -> tuple[tf.Tensor, State]:
        """Reads `[n]` tokens, n at least 1, from the initial state."""
        logits, state = self._model.step(tokens[:1], self._model.initial_state(1))
        for token in tokens[1:]:
            logits, state = self._model.step(token[tf.newaxis], state)
        return logits, state

    def _next_token(
        self, logits: tf.Tensor, state: State, temperature: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        token = choose_token(logits, temperature, seed)
        logits, state = self._model.step(token, state)
        return token[0], logits, state

    def pieces(
        self, *, prompt: str = "", num_tokens: int, temperature: float, seed: int
    ) -> Iterator[str]:
        """Checks the arguments, then returns an iterator over the text that follows a prompt.

        Args:
            prompt: text to continue. Without any, a document begins.
            num_tokens: tokens to generate.
            temperature: 1 draws from the model's own distribution, less is bolder in what
                is likely, 0 always takes the likeliest.
            seed: of the draws, below 2**31.

        Returns:
            Pieces of text; a piece is empty while a character is incomplete.

        Raises:
            OptionError: an argument is out of range.
            UserError: the prompt has characters that the vocabulary lacks.
        """
        if num_tokens < 0:
            raise OptionError(f"`tokens` must be at least 0, got {num_tokens}")
        if not 0 <= temperature < float("inf"):
            raise OptionError(f"`temperature` must be at least 0 and finite, got {temperature}")
        if not 0 <= seed < 2**31:
            raise OptionError(f"`seed` must be at least 0 and below 2**31, got {seed}")
        if prompt:
            ids = np.asarray(self._vocabulary.encode(prompt), np.int32)
        else:
            ids = np.array([self._vocabulary.separator_id], np.int32)
        return self._pieces(ids, num_tokens, temperature, seed)

    def _pieces(
        self, ids: np.ndarray, num_tokens: int, temperature: float, seed: int
    ) -> Iterator[str]:
        decoder = self._vocabulary.decoder()
        logits, state = self._read(tf.constant(ids))
        heat = tf.constant(temperature, tf.float32)
        for index in range(num_tokens):
            token, logits, state = self._next(logits, state, heat, tf.constant([seed, index]))
            yield decoder.decode([int(token)], final=index + 1 == num_tokens)


def generate(
    run: str | os.PathLike[str],
    *,
    prompt: str = "",
    tokens: int = 500,
    temperature: float = 0.7,
    seed: int = 0,
) -> Iterator[str]:
    """Generates text with a run's newest checkpoint. The corpus is not needed.

    Args:
        run: the directory that `textreel train` wrote.
        prompt: text to continue. Without any, a document begins.
        tokens: tokens to generate.
        temperature: see `Sampler.pieces`.
        seed: of the draws; the same seed gives the same text.

    Returns:
        An iterator over pieces of text, each as soon as it is there.

    Raises:
        UserError: the directory is no run or has no checkpoint yet, or an argument cannot
            work (see `Sampler.pieces`).
    """
    config = run_config(run)
    vocabulary = load_vocabulary(run)
    model = build_model(config, vocabulary.size, use_cudnn=True)
    restore_weights(run, model)
    return Sampler(model, vocabulary).pieces(
        prompt=prompt, num_tokens=tokens, temperature=temperature, seed=seed
    )


def shown(piece: str, vocabulary: Vocabulary) -> str:
    """Makes generated text fit for a screen: a document's end becomes a newline."""
    return piece.replace(vocabulary.decode([vocabulary.separator_id]), "\n")
