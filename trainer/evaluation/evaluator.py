"""Evaluator of a model in training: loss, perplexity and bits per byte of the validation split."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from pipeline.reading.corpus import Corpus
from trainer.config import TrainConfig
from trainer.steps.feed import validation_feed
from trainer.steps.runner import StepRunner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The quality of a model on a split.

    Attributes:
        loss: mean cross-entropy, nats a token.
        perplexity: `exp(loss)`: the number of equally likely tokens that would be as
            hard to predict.
        bits_per_byte: bits a byte of UTF-8 text: `loss / ln 2 * tokens / bytes`, with the
            counts of the whole split. Comparable between vocabularies.
    """

    loss: float
    perplexity: float
    bits_per_byte: float

    @classmethod
    def from_loss(cls, loss: float, *, num_tokens: int, text_bytes: int) -> "Evaluation":
        """Derives the figures from a mean loss.

        Args:
            loss: nats a token.
            num_tokens: tokens of the split.
            text_bytes: UTF-8 bytes of the split's text.
        """
        return cls(
            loss=loss,
            perplexity=math.exp(loss) if loss < 700 else math.inf,
            bits_per_byte=loss / math.log(2) * num_tokens / text_bytes,
        )

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f} nats/token, perplexity {self.perplexity:.2f}, "
            f"{self.bits_per_byte:.4f} bits/byte"
        )


class Evaluator:
    """Evaluates a run's model on the whole validation split, every window exactly once.

    A run of lanes is measured as it is trained: as many lanes read the split side by side, with
    state, and predict every token but the first exactly once. No lane is measured where it begins,
    in the midst of the text (see `trainer.steps.feed`).

    What the first evaluation starts, its input pipeline and compiled steps, serves them all.

    Args:
        corpus: holds the validation split.
        config: the run's options.
        runner: the compiled steps.
    """

    def __init__(self, corpus: Corpus, config: TrainConfig, runner: StepRunner) -> None:
        self._split = corpus.splits[config.evaluated_split]
        self._corpus, self._config, self._runner = corpus, config, runner
        self._batches: Iterator[Any] | None = None
        self._num_batches = 0

    def evaluate(self) -> Evaluation | None:
        """Returns the quality of the model as it is now; changes nothing in it.

        None where it was stopped (`StepRunner.stop`).
        """
        if self._batches is None:
            strategy = self._runner.step.strategy
            feed, self._num_batches = validation_feed(strategy, self._corpus, self._config)
            self._batches = iter(feed)
        lanes = self._runner.step.lanes
        with contextlib.nullcontext() if lanes is None else lanes.beginning_anew():
            nats, num_tokens, is_whole = self._runner.run_evaluation(
                self._batches, tf.constant(self._num_batches)
            )
        if not is_whole:
            self._batches = None  # the next one begins at the beginning
            return None
        return Evaluation.from_loss(
            float(nats / num_tokens),
            num_tokens=self._split.num_tokens,
            text_bytes=self._split.text_bytes,
        )
