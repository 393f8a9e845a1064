"""Vocabulary of a corpus to be: the one that is given, or one made from the text."""

import functools
import os
import tempfile
from typing import Any

import numpy as np

from pipeline.errors import OptionError, UserError
from pipeline.preparing.counting import (
    SampleTask,
    count_code_points,
    find_code_points,
    sample_texts,
)
from pipeline.preparing.engines import Advance, Engine
from pipeline.preparing.engines.local import run_apart
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Plan
from pipeline.progress import progress_bar, progress_clock
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.characters import REPLACEMENT, ByteVocabulary, CharVocabulary
from pipeline.vocabulary.loading import load_vocabulary
from pipeline.vocabulary.subword import SubwordVocabulary

SAMPLE_BYTES = 16 * 2**20  # that a BPE is trained on
_TEXT_BYTES = 8 * 2**10  # one text of the sample


def given_vocabulary(options: PrepareOptions) -> Vocabulary | None:
    """The vocabulary that the options give, `None` where it is to be made from the text.

    Raises:
        OptionError: they name a file that is none, or want text normalised that is not.
        UserError: the file is no vocabulary, or normalises text against the options.
    """
    if options.vocabulary == ByteVocabulary.kind:
        return ByteVocabulary()
    if options.vocabulary == CharVocabulary.kind or options.bpe_size is not None:
        return None
    if not os.path.exists(options.vocabulary):
        raise OptionError(
            f"`vocabulary` must be byte, char, bpe:SIZE or an existing file, got "
            f"{options.vocabulary!r}"
        )
    vocabulary = load_vocabulary(options.vocabulary, unknown=options.unknown)
    if vocabulary.normalizer and not options.normalize:
        raise UserError(
            f"{options.vocabulary}: it changes text before it encodes it ({vocabulary.normalizer}),"
            " so the source's text would not come back; `--normalize` takes it as it is"
        )
    if options.normalize and not vocabulary.normalizer:
        raise OptionError(
            f"`normalize` has no effect: {options.vocabulary} changes no text; leave it out"
        )
    return vocabulary


def make_vocabulary(
    plan: Plan, options: PrepareOptions, run: Engine, *, progress: bool
) -> Vocabulary:
    """Makes the vocabulary of a text: `char` or `bpe:SIZE`.

    Args:
        plan: the text.
        options: how the corpus is to be.
        run: reads the text.
        progress: shows a progress bar.
    """
    shards, total = list(plan), plan.source_bytes
    if options.bpe_size is not None:
        with progress_bar("sampling text", total, progress) as bar:
            samples = run(sample_texts, sample_tasks(plan), advance=bar.update)
        texts = [text for texts in samples for text in texts]
        return learn_subwords(texts, options.bpe_size, progress=progress)
    if options.min_count == 1:
        with progress_bar("finding characters", total, progress) as bar:
            found = run(find_code_points, shards, advance=bar.update)
        points = functools.reduce(np.union1d, found)
        return CharVocabulary(points, unknown=options.unknown)
    with progress_bar("counting characters", total, progress) as bar:
        counted = run(count_code_points, shards, advance=bar.update)
    points = _frequent(counted, options.min_count)
    return CharVocabulary([*points, REPLACEMENT], unknown="replace")


def sample_tasks(plan: Plan) -> list[SampleTask]:
    """Makes the tasks that take the sample of a text, shard by shard, that a BPE is trained on."""
    distance = max(_TEXT_BYTES, plan.source_bytes * _TEXT_BYTES // SAMPLE_BYTES)
    return [SampleTask(pieces=shard, distance=distance, text_bytes=_TEXT_BYTES) for shard in plan]


def learn_subwords(texts: list[bytes], size: int, *, progress: bool) -> SubwordVocabulary:
    """Trains a BPE in a process of its own: the library does not stop for Ctrl-C.

    Args:
        texts: a sample.
        size: the most ids.
        progress: shows how long it takes.
    """
    # This process makes the folder and removes it, however the other one ends.
    with (
        tempfile.TemporaryDirectory(prefix="textreel-") as folder,
        progress_clock(f"learning {size:,} subwords", progress) as clock,
    ):
        return run_apart(_learn, (texts, size, folder), tick=clock.refresh)


def _learn(task: tuple[list[bytes], int, str], advance: Advance) -> SubwordVocabulary:
    del advance  # there is nothing to count
    texts, size, folder = task
    return train_bpe(texts, size, folder=folder)


def _frequent(counted: list[tuple[np.ndarray, np.ndarray]], min_count: int) -> Any:
    points, index = np.unique(np.concatenate([p for p, _ in counted]), return_inverse=True)
    counts = np.zeros(len(points), np.int64)
    np.add.at(counts, index, np.concatenate([c for _, c in counted]))
    return points[counts >= min_count]
