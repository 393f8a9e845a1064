"""Sampler of text from a trained model: stateful, one model step a token.

The same run and `Request` give the same text, however it is consumed; sample `s` is the
same among any number of samples (to what rounding does with another number of rows).
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.vocabulary.base import Vocabulary
from trainer.generation.request import Request
from trainer.generation.sampling import Drawing, Rows, advance, begin
from trainer.generation.stop_text import StopFilter
from trainer.models import LanguageModel, build_model
from trainer.run.checkpoint import restore_weights
from trainer.run.opening import open_run

# One call of the compiled loop generates a few tokens: as many as look smooth on a screen.
_SMOOTH_SECONDS = 0.05
_MAX_CHUNK = 64


class Sampler:
    """Generates text from a model; its compiled loop is traced once a number of samples.

    Args:
        model: a built model; its weights are read at every call.
        vocabulary: text <-> ids. What a prompt has and it lacks becomes U+FFFD, if that has an id.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        self._model = model
        self._vocabulary = vocabulary.tolerant()
        self._advance = tf.function(self._advance_rows, reduce_retracing=True)

    def stream(self, request: Request) -> Iterator[str]:
        """Returns an iterator over the text that follows a prompt, as it comes: sample 0.

        Args:
            request: what to generate.

        Returns:
            Pieces of text, one a token; a piece is empty while a character is incomplete,
            or may belong to a stop text.

        Raises:
            UserError: the prompt has characters that the vocabulary lacks.
        """
        return self._pieces(request, self._ids(request.prompt))

    def texts(self, request: Request, samples: int) -> list[str]:
        """Returns several texts that follow a prompt, generated together.

        Args:
            request: what to generate.
            samples: number of texts, at least 1.

        Raises:
            OptionError: `samples` is below 1.
            UserError: the prompt has characters that the vocabulary lacks.
        """
        if samples < 1:
            raise OptionError(f"`samples` must be at least 1, got {samples}")
        writers = [_Writer(self._vocabulary, request.stop) for _ in range(samples)]
        for tokens in self._tokens(request, self._ids(request.prompt), samples):
            for writer, ids in zip(writers, tokens, strict=True):
                writer.write(ids)
            if all(writer.is_over for writer in writers):
                break
        return [writer.finish() for writer in writers]

    def _ids(self, prompt: str) -> np.ndarray:
        """A prompt's ids, `[n]` int32, n at least 1."""
        if prompt:
            return np.asarray(self._vocabulary.encode(prompt), np.int32)
        return np.array([self._vocabulary.separator_id], np.int32)

    def _pieces(self, request: Request, prompt: np.ndarray) -> Iterator[str]:
        writer = _Writer(self._vocabulary, request.stop)
        num_left = request.tokens
        for (ids,) in self._tokens(request, prompt, 1):
            for token in ids:
                num_left -= 1
                yield writer.write([token], final=num_left == 0)
                if writer.is_over:
                    return

    def _tokens(self, request: Request, prompt: np.ndarray, samples: int) -> Iterator[np.ndarray]:
        """Yields the generated ids, a chunk `[samples, n]` int32 at a time."""
        drawing = Drawing(
            temperature=tf.constant(request.temperature, tf.float32),
            top_k=tf.constant(request.top_k),
            top_p=tf.constant(request.top_p, tf.float32),
            seed=tf.constant(request.seed),
            samples=tf.range(samples),
        )
        prompts = tf.tile(tf.constant(prompt)[tf.newaxis], [samples, 1])
        lengths = tf.fill([samples], len(prompt))
        rows = begin(self._model, self._vocabulary.size, samples)
        _, rows = self._advance(rows, prompts, lengths, drawing, tf.constant(len(prompt)))
        num_left, chunk = request.tokens, 1
        while num_left:
            began = time.perf_counter()
            num_tokens = tf.constant(min(chunk, num_left))
            tokens, rows = self._advance(rows, prompts, lengths, drawing, num_tokens)
            yield tokens.numpy().T
            num_left -= len(tokens)
            if time.perf_counter() - began < _SMOOTH_SECONDS / 2:
                chunk = min(2 * chunk, _MAX_CHUNK)

    def _advance_rows(self, *arguments: Any) -> tuple[tf.Tensor, Rows]:
        return advance(self._model, *arguments)


class _Writer:
    """Ids -> text, up to a stop text."""

    def __init__(self, vocabulary: Vocabulary, stops: tuple[str, ...]) -> None:
        self._decoder = vocabulary.decoder()
        self._filter = StopFilter(stops)
        self._text: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether a stop text came."""
        return self._filter.is_over

    def write(self, ids: Any, *, final: bool = False) -> str:
        """Takes ids; returns the text that is complete and certain."""
        piece = self._filter.feed(self._decoder.decode(ids, final=final), final=final)
        self._text.append(piece)
        return piece

    def finish(self) -> str:
        """Returns the whole text."""
        self.write([], final=True)
        return "".join(self._text)


def load_sampler(
    run: str | os.PathLike[str], *, checkpoint: str | None = None, allow_code: bool = False
) -> Sampler:
    """Makes a sampler of a run's model. The corpus is not needed.

    Args:
        run: the directory that `textreel train` wrote.
        checkpoint: `"best"`, the one of the lowest validation loss, or `"newest"`; None: see
            `default_checkpoint`.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.

    Raises:
        UserError: the directory is no run, has no such checkpoint, or has a model of its own
            (without `allow_code`); or its files do not belong together.
    """
    opened = open_run(run, checkpoint=checkpoint, allow_code=allow_code)
    model = build_model(opened.config, opened.vocabulary.size, use_cudnn=True)
    restore_weights(opened.checkpoint, model)
    return Sampler(model, opened.vocabulary)


def generate(
    run: str | os.PathLike[str],
    *,
    checkpoint: str | None = None,
    allow_code: bool = False,
    **options: Any,
) -> Iterator[str]:
    """Generates text with a run's model.

    For example `"".join(generate("RUN", prompt="Once", tokens=100, temperature=0.8))`.

    Args:
        run: the directory that `textreel train` wrote.
        checkpoint: see `load_sampler`.
        allow_code: likewise.
        **options: those of `Request`.

    Returns:
        An iterator over pieces of text, each as soon as it is there.

    Raises:
        UserError: see `load_sampler`; or an option cannot work (see `Request` and
            `Sampler.stream`).
    """
    request = Request(**options)
    return load_sampler(run, checkpoint=checkpoint, allow_code=allow_code).stream(request)


def screen_text(piece: str, vocabulary: Vocabulary) -> str:
    """Makes generated text fit for a screen: a document's end becomes a newline."""
    return piece.replace(vocabulary.decode([vocabulary.separator_id]), "\n")
