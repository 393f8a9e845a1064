"""Where a vocabulary comes from: a corpus or a run, a file, or the text itself."""

import functools
import json
import os
from typing import Any

import numpy as np

from pipeline.errors import OptionError, UserError
from pipeline.files import exists, is_uri, join, read_text
from pipeline.preparing.counting import (
    SampleTask,
    count_code_points,
    find_code_points,
    sample_texts,
)
from pipeline.preparing.engines import Engine
from pipeline.preparing.plan import Plan, PrepareOptions
from pipeline.progress import progress_bar
from pipeline.vocabulary import subword
from pipeline.vocabulary.base import (
    FILE_NAME,
    REPLACEMENT,
    ByteVocabulary,
    CharVocabulary,
    Vocabulary,
)
from pipeline.vocabulary.subword import load_tokenizer, train_bpe

VOCABULARY_FILES = (FILE_NAME, subword.FILE_NAME)
_SAMPLE_BYTES = 32 * 2**20  # that a BPE is trained on
_TEXT_BYTES = 16 * 2**10  # one text of the sample


def load_vocabulary(path: str | os.PathLike[str], *, unknown: str = "error") -> Vocabulary:
    """Reads the vocabulary of a corpus or of a training run, or one that is a file.

    Args:
        path: a directory with a `vocabulary.json` or a `tokenizer.json`, or such a file.
        unknown: see `CharVocabulary`; nothing is unknown to the others.

    Raises:
        UserError: there is none, or its file is damaged.
    """
    path = os.fspath(path)
    is_directory = not path.endswith(".json") if is_uri(path) else os.path.isdir(path)
    if is_directory:
        tokenizer = join(path, subword.FILE_NAME)
        path = tokenizer if exists(tokenizer) else join(path, FILE_NAME)
    try:
        content = json.loads(read_text(path))
        if "model" in content:
            return load_tokenizer(path)
        if content["kind"] == ByteVocabulary.kind:
            return ByteVocabulary()
        if content["kind"] == CharVocabulary.kind:
            points = [ord(character) for character in content["characters"]]
            return CharVocabulary(points).with_unknown(unknown)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a corpus and a run each have one") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the corpus again") from error
    raise UserError(f"{path}: unknown `kind` {content['kind']!r}; is textreel too old for it?")


def given_vocabulary(options: PrepareOptions) -> Vocabulary | None:
    """The vocabulary that the options give, `None` where it is to be made from the text.

    Raises:
        OptionError: they name a file that is none.
        UserError: the file is no vocabulary.
    """
    if options.vocabulary == ByteVocabulary.kind:
        return ByteVocabulary()
    if options.vocabulary == CharVocabulary.kind or options.bpe_size is not None:
        return None
    if not os.path.exists(options.vocabulary):
        raise OptionError(
            f"`vocabulary` is byte, char, bpe:SIZE or an existing file: {options.vocabulary}"
        )
    return load_vocabulary(options.vocabulary, unknown=options.unknown)


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
    shards = [shard for shards in plan.values() for shard in shards]
    total = sum(piece.num_bytes for shard in shards for piece in shard)
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
