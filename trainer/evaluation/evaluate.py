"""Evaluation of a trained run on any split of a corpus: `textreel evaluate`."""

import dataclasses
import itertools
import math
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError, UserError
from pipeline.files import join
from pipeline.layout.records import read_records
from pipeline.reading.corpus import Corpus
from trainer.config import TrainConfig
from trainer.config.splits import num_measured_windows
from trainer.evaluation.dynamic import checked_rate
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.evaluation.split import open_split
from trainer.evaluation.stateful import stateful_nats
from trainer.models import LanguageModel
from trainer.run.checkpoint import restore_weights
from trainer.run.opening import open_run
from trainer.steps.assembly import assemble

_RECORDS = 64  # taken at once: a count of a large vocabulary costs as much as many tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitEvaluation:
    """The quality of a model on a split.

    Attributes:
        evaluation: loss, perplexity and bits per byte.
        bits_per_character: `loss / ln 2 * tokens / characters`, with the counts of the
            whole split; separators are tokens, but not characters.
    """

    evaluation: Evaluation
    bits_per_character: float

    def __str__(self) -> str:
        return f"{self.evaluation}, {self.bits_per_character:.4f} bits/character"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StatefulEvaluation(SplitEvaluation):
    """The quality with the text before: see `trainer.evaluation.stateful`.

    Attributes:
        num_tokens: tokens measured, each once: all of the split but the first.
    """

    num_tokens: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEvaluation(SplitEvaluation):
    """The quality of a run on a split, measured as in training: in windows or in lanes.

    Attributes:
        num_windows: windows measured, each once; None for a run of lanes.
        num_lanes: lanes that read the split side by side, with state; None for windows.
        stateful: the quality with the text before, where it was asked for.
        dynamic: the same of a model that learns from that text, where it was asked for.
    """

    num_windows: int | None
    num_lanes: int | None
    stateful: StatefulEvaluation | None = None
    dynamic: StatefulEvaluation | None = None


def evaluate(
    run: str | os.PathLike[str],
    *,
    corpus: str | None = None,
    split: str | None = None,
    checkpoint: str | None = None,
    allow_code: bool = False,
    stateful: bool = False,
    dynamic: bool = False,
    dynamic_learning_rate: float | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> RunEvaluation:
    """Measures a checkpoint of a run on a split as its training did, each window or token once.

    Args:
        run: the directory that `textreel train` wrote.
        corpus: directory of a corpus with the run's vocabulary; None for the run's own.
        split: its split to measure; None for the run's `validation_split`.
        checkpoint: `"best"`, the one of the lowest validation loss, or `"newest"`; None: see
            `default_checkpoint`.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.
        stateful: also measures it with the text before, in one pass through the split.
        dynamic: also measures it so while its weights learn from the text before (dynamic
            evaluation); those of the run stay as they are.
        dynamic_learning_rate: how fast; None for `trainer.evaluation.dynamic.DEFAULT_RATE`.
        cache_dir: keeps the shards of a corpus in a store: see `open_corpus`.

    Raises:
        OptionError: `checkpoint` is neither; `stateful` or `dynamic` for a run with targets
            `"last"`; or see `trainer.evaluation.dynamic.checked_rate`.
        UserError: the directory is no run, has no checkpoint, or has a model of its own (without
            `allow_code`); its files do not belong together; or the corpus has another
            vocabulary, no such split or too short a one. Or `dynamic_learning_rate` is so large
            that the loss is not finite.
    """
    learning_rate = checked_rate(dynamic, dynamic_learning_rate)
    used = open_run(run, checkpoint=checkpoint, allow_code=allow_code)
    measured = open_split(
        run, used.config, used.vocabulary, corpus=corpus, split=split, cache_dir=cache_dir
    )
    config, opened = measured.config, measured.corpus
    for name, is_given in (("stateful", stateful), ("dynamic", dynamic)):
        if is_given and config.targets != "sequence":
            raise OptionError(
                f"`{name}` must not be given for a run with `targets` {config.targets!r} (it "
                f"predicts after whole windows alone); leave --{name} out"
            )
    # Several cannot share such a batch; nor does a tape outside of the replicas see their weights.
    if dynamic or config.batch_size % max(1, len(tf.config.list_physical_devices("GPU"))):
        config = dataclasses.replace(config, strategy="one_device")
    assembly = assemble(config, opened.vocabulary.size)
    with assembly.strategy.scope():
        restore_weights(used.checkpoint, assembly.model)
    evaluation = Evaluator(opened, config, assembly.runner).evaluate()
    assert evaluation is not None  # nothing stops it
    split_counts = opened.splits[config.evaluated_split]
    tokens_per_character = split_counts.num_tokens / num_characters(opened, config.evaluated_split)
    in_order = _InOrder(assembly.model, config, opened, tokens_per_character)
    return RunEvaluation(
        evaluation=evaluation,
        bits_per_character=evaluation.loss / math.log(2) * tokens_per_character,
        num_windows=None if config.lanes else num_measured_windows(opened, config),
        num_lanes=config.batch_size if config.lanes else None,
        stateful=in_order.measure(None) if stateful else None,
        dynamic=None if learning_rate is None else in_order.measure(learning_rate),
    )


@dataclasses.dataclass(frozen=True)
class _InOrder:
    """A split that a model reads in order."""

    model: LanguageModel
    config: TrainConfig
    corpus: Corpus
    tokens_per_character: float

    def measure(self, learning_rate: float | None) -> StatefulEvaluation:
        """Measures the model; with a learning rate, one that learns on the way."""
        split = self.config.evaluated_split
        counts, separator_id = self.corpus.splits[split], self.corpus.vocabulary.separator_id
        nats, num_tokens = stateful_nats(
            self.model,
            self.config,
            split_tokens(self.corpus, split),
            separator_id,
            learning_rate=learning_rate,
        )
        if learning_rate is not None and not math.isfinite(nats):
            raise UserError(
                "`dynamic_learning_rate` must be so small that the loss stays finite, got "
                f"{learning_rate}; give a smaller --dynamic_learning_rate"
            )
        loss = nats / num_tokens
        return StatefulEvaluation(
            evaluation=Evaluation.from_loss(
                loss, num_tokens=counts.num_tokens, text_bytes=counts.text_bytes
            ),
            bits_per_character=loss / math.log(2) * self.tokens_per_character,
            num_tokens=num_tokens,
        )


def num_characters(corpus: Corpus, split: str) -> int:
    """Counts the characters of a split's text; reads the split once."""
    counts = token_counts(corpus, split)
    counts[corpus.vocabulary.separator_id] = 0
    # Every byte of UTF-8 but a continuation byte starts a character.
    characters = [
        sum(byte & 0xC0 != 0x80 for byte in corpus.vocabulary.decode_bytes([token]))
        for token in range(corpus.vocabulary.size)
    ]
    return int(counts @ np.array(characters, np.int64))


def token_counts(corpus: Corpus, split: str) -> np.ndarray:
    """How often each id occurs in a split, `[vocabulary size]` int64."""
    counts = np.zeros(corpus.vocabulary.size, np.int64)
    for tokens in split_tokens(corpus, split):
        counts += np.bincount(tokens, minlength=len(counts))
    return counts


def split_tokens(corpus: Corpus, split: str) -> Iterator[np.ndarray]:
    """Yields the tokens of a split in order, some records at a time.

    Raises:
        UserError: a record is damaged.
    """
    for shard in corpus.splits[split].shards:
        payloads = read_records(join(corpus.directory, shard.file))
        while some := list(itertools.islice(payloads, _RECORDS)):
            yield np.frombuffer(b"".join(some), corpus.vocabulary.dtype)
