"""Evaluation of a trained run on any split of a corpus: `textreel evaluate`."""

import dataclasses
import math
import os

import numpy as np
import tensorflow as tf

from pipeline.files import join
from pipeline.layout.records import FEATURE
from pipeline.reading.corpus import Corpus
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.evaluation.split import open_split
from trainer.run.checkpoint import restore_weights
from trainer.run.opening import open_run
from trainer.steps.assembly import assemble


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEvaluation:
    """The quality of a run on a split.

    Attributes:
        evaluation: loss, perplexity and bits per byte.
        bits_per_character: `loss / ln 2 * tokens / characters`, with the counts of the
            whole split; separators are tokens, but not characters.
        num_windows: windows measured, each once.
    """

    evaluation: Evaluation
    bits_per_character: float
    num_windows: int

    def __str__(self) -> str:
        return f"{self.evaluation}, {self.bits_per_character:.4f} bits/character"


def evaluate(
    run: str | os.PathLike[str],
    *,
    corpus: str | None = None,
    split: str | None = None,
    checkpoint: str = "newest",
    allow_code: bool = False,
) -> RunEvaluation:
    """Measures a checkpoint of a run on every window of a split, each once.

    Args:
        run: the directory that `textreel train` wrote.
        corpus: directory of a corpus with the run's vocabulary; None for the run's own.
        split: its split to measure; None for the run's `validation_split`.
        checkpoint: `"newest"`, or `"best"`, the one of the lowest validation loss.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.

    Raises:
        OptionError: `checkpoint` is neither.
        UserError: the directory is no run, has no checkpoint, or has a model of its own (without
            `allow_code`); its files do not belong together; or the corpus has another
            vocabulary, no such split or no window in it.
    """
    used = open_run(run, checkpoint=checkpoint, allow_code=allow_code)
    measured = open_split(run, used.config, used.vocabulary, corpus=corpus, split=split)
    config, opened = measured.config, measured.corpus
    assembly = assemble(config, opened.vocabulary.size)
    with assembly.strategy.scope():
        restore_weights(used.checkpoint, assembly.model)
    evaluation = Evaluator(opened, config, assembly.runner).evaluate()
    bits = evaluation.loss / math.log(2) * opened.splits[config.evaluated_split].num_tokens
    return RunEvaluation(
        evaluation=evaluation,
        bits_per_character=bits / num_characters(opened, config.evaluated_split),
        num_windows=measured.num_windows,
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

    def payloads(records: tf.Tensor) -> tf.Tensor:
        feature = {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_example(records, feature)[FEATURE]

    files = [join(corpus.directory, shard.file) for shard in corpus.splits[split].shards]
    counts = np.zeros(corpus.vocabulary.size, np.int64)
    for records in tf.data.TFRecordDataset(files).batch(64).map(payloads).as_numpy_iterator():
        tokens = np.frombuffer(b"".join(records), corpus.vocabulary.dtype)
        counts += np.bincount(tokens, minlength=len(counts))
    return counts
