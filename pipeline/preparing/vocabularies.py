"""Vocabulary of a corpus to be: the one that is given, or one made from the text."""

import functools
import os
from typing import Any

import numpy as np

from pipeline.errors import OptionError, UserError
from pipeline.preparing.counting import (
    SampleTask,
    count_code_points,
    find_code_points,
    sample_texts,
)
from pipeline.preparing.engines import Engine
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Plan
from pipeline.progress import progress_bar
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.characters import REPLACEMENT, ByteVocabulary, CharVocabulary
from pipeline.vocabulary.loading import load_vocabulary
from pipeline.vocabulary.subword import train_bpe

_SAMPLE_BYTES = 32 * 2**20  # that a BPE is trained on
_TEXT_BYTES = 16 * 2**10  # one text of the sample


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
        distance = max(_TEXT_BYTES, total * _TEXT_BYTES // _SAMPLE_BYTES)
        tasks = [
            SampleTask(pieces=shard, distance=distance, text_bytes=_TEXT_BYTES) for shard in shards
        ]
        with progress_bar("sampling text", total, progress) as bar:
            samples = run(sample_texts, tasks, advance=bar.update)
        return train_bpe((text for texts in samples for text in texts), options.bpe_size)
    if options.min_count == 1:
        with progress_bar("finding characters", total, progress) as bar:
            found = run(find_code_points, shards, advance=bar.update)
        points = functools.reduce(np.union1d, found)
        return CharVocabulary(points, unknown=options.unknown)
    with progress_bar("counting characters", total, progress) as bar:
        counted = run(count_code_points, shards, advance=bar.update)
    points = _frequent(counted, options.min_count)
    return CharVocabulary([*points, REPLACEMENT], unknown="replace")


def _frequent(counted: list[tuple[np.ndarray, np.ndarray]], min_count: int) -> Any:
    points, index = np.unique(np.concatenate([p for p, _ in counted]), return_inverse=True)
    counts = np.zeros(len(points), np.int64)
    np.add.at(counts, index, np.concatenate([c for _, c in counted]))
    return points[counts >= min_count]
