"""Preparing: plan a corpus, write its shards, then its manifest."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.errors import OptionError, TextWarning, UserError
from pipeline.files import (
    StoreError,
    absolute_path,
    checked_output,
    checked_path,
    is_in_store,
    split_path,
)
from pipeline.layout.array_record import check_installed
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import (
    Manifest,
    Shard,
    ShardPiece,
    SkippedRows,
    SourceInfo,
    Split,
)
from pipeline.layout.names import ARRAY_RECORD, TFRECORD
from pipeline.preparing import journal, place, replacement
from pipeline.preparing.companions import vouched, write_companions
from pipeline.preparing.engines import Engine, local
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Plan, given_splits, is_largest, make_plan
from pipeline.preparing.shards import ShardTask, make_tasks, write_shard
from pipeline.preparing.vocabularies import given_vocabulary, make_vocabulary
from pipeline.progress import progress_bar
from pipeline.sizes import count_text
from pipeline.text.bad_rows import Skipped
from pipeline.text.directories import Choice
from pipeline.text.pieces import DOCUMENTS, Source
from pipeline.text.sources import Found, check_unchanged, find_sources
from pipeline.text.streams import spooled
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.characters import ByteVocabulary
from pipeline.vocabulary.loading import load_vocabulary


def prepare(
    sources: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: PrepareOptions | None = None,
    *,
    glob: str | None = None,
    hidden: bool = False,
    workers: int | None = None,
    engine: Engine | None = None,
    array_record: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    on_found: Callable[[Found], None] | None = None,
    on_kept: Callable[[], None] | None = None,
) -> Manifest:
    """Prepares a corpus from text, in files, datasets or standard input.

    A prepare that stopped goes on where it was when it is called again: finished shards are
    kept after their digest is checked. A corpus that is whole, and of the same sources and options,
    is kept as it is.

    Args:
        sources: files, directories, URIs, `tfds:NAME:SPLIT`, pipes, `-` for standard input.
        output: the directory to make.
        options: what the corpus's bytes depend on.
        glob: within directories, only files whose name matches.
        hidden: within directories, also what has a name that begins with `.` or `_`.
        workers: processes; `None` takes one a core. Changes no byte.
        engine: runs the tasks instead of processes of this machine, such as
            `functools.partial(beam.run, options=…, folder=…)` (`preparing.engines.beam`), on
            workers that see `sources` and `output` under the same paths. Changes no byte.
        array_record: also writes the records as array_record files, for `as_data_source` of TFDS.
        overwrite: replaces a corpus that is there, finished or not.
        progress: shows a progress bar.
        on_found: is called with the sources, and what is left out, before they are read.
        on_kept: is called where the corpus was there already.

    Returns:
        What was made, as it stands in `manifest.json`.

    Raises:
        UserError: sources, options or an output directory that cannot work; an unfinished
            corpus that was begun otherwise, or that another process is at work on.
        OSError: a file cannot be read or written.
    """
    options = options or PrepareOptions()
    if engine is None:
        run: Engine = functools.partial(local.run, workers=local.checked_workers(workers))
    elif workers is None:
        run = engine
    else:
        raise OptionError("`workers` has no effect with another `engine`, which has its own")
    if array_record:
        check_installed()
    formats = (TFRECORD, ARRAY_RECORD) if array_record else (TFRECORD,)
    directory = checked_output(output, "output")
    given = [checked_path(source, "sources") for source in sources]
    is_empty = place.check_free(directory, given, is_shared=engine is not None)
    with journal.locked(directory):
        replaced = None  # the intent whose replacement was under way
        if not is_empty and replacement.is_under_way(directory):
            replaced = journal.begun(replacement.stage_of(directory))
            replacement.replace(directory)
        choice = Choice(glob=glob, hidden=hidden, leave_out=directory)

        with place.stream_paths(directory) as make_path, spooled(given, make_path) as kept:
            listed = find_sources(kept, choice, options.reading)
            if on_found is not None:
                on_found(listed)
            found = listed.sources
            known = given_vocabulary(options)
            if options.from_bin is not None:
                options = options.with_given_splits(given_splits(found))
            options = _with_fingerprint(options, known)
            intent = journal.intent_of(options, found)
            if replaced is not None and intent == {name: replaced.get(name) for name in intent}:
                return load_manifest(directory)
            if not overwrite and replacement.is_made(directory, intent, found, formats):
                if on_kept is not None:
                    on_kept()
                return load_manifest(directory)
            target = directory if is_empty else _target(directory, intent, overwrite)
            plan = make_plan(found, options)
            vocabulary = _vocabulary(target, intent, plan, options, known, run, progress)
            tasks = make_tasks(plan, options, absolute_path(target))  # a worker may stand elsewhere
            if vocabulary.remark:
                warnings.warn(f"`vocabulary`: {vocabulary.remark}", TextWarning, stacklevel=2)
            manifest = _write(
                target, intent, options, found, tasks, vocabulary, formats, run, progress
            )
            if target == directory:
                journal.end(directory)
            else:
                replacement.replace(directory)
            return manifest


def _target(directory: str, intent: dict[str, Any], overwrite: bool) -> str:
    """Where the corpus is made, without what else was begun there and is to be overwritten."""
    target = place.target_of(directory, intent, overwrite)
    if overwrite and not journal.is_same(target, intent):
        replacement.discard(target)
    place.check_remains(target)
    return target


def _vocabulary(
    target: str,
    intent: dict[str, Any],
    plan: Plan,
    options: PrepareOptions,
    given: Vocabulary | None,
    run: Engine,
    progress: bool,
) -> Vocabulary:
    """The vocabulary of a prepare that goes on, or else of one that begins here."""
    begun = journal.vocabulary_of(target, intent)
    vocabulary = given
    if vocabulary is None and begun is not None:
        vocabulary = _begun_vocabulary(target, options, begun)
    if vocabulary is None:
        vocabulary = make_vocabulary(plan, options, run, progress=progress)
    if vocabulary.fingerprint != begun:
        if begun is None and is_in_store(target):
            place.check_still_free(target)
        else:
            replacement.discard(target)
        journal.begin(target, intent, vocabulary.fingerprint)
    vocabulary.save(target, once=True)
    return vocabulary


def _begun_vocabulary(target: str, options: PrepareOptions, fingerprint: str) -> Vocabulary | None:
    """The vocabulary that an earlier prepare made, if its file is still just that."""
    unknown = "replace" if options.replaces_unknown else "error"
    try:
        vocabulary = load_vocabulary(target, unknown=unknown)
    except StoreError:
        raise
    except UserError:
        return None
    return vocabulary if vocabulary.fingerprint == fingerprint else None


def _write(
    target: str,
    intent: dict[str, Any],
    options: PrepareOptions,
    sources: tuple[Source, ...],
    tasks: list[ShardTask],
    vocabulary: Vocabulary,
    formats: tuple[str, ...],
    run: Engine,
    progress: bool,
) -> Manifest:
    """Writes the shards that the journal does not have yet, then makes the corpus complete."""
    with progress_bar("writing shards", sum(task.source_bytes for task in tasks), progress) as bar:
        write = functools.partial(write_shard, vocabulary=vocabulary)
        written = run(write, tasks, advance=bar.update)
    check_unchanged(sources)
    try:
        manifest = _manifest(options, sources, tasks, written, vocabulary, formats)
    except UserError:
        replacement.discard(target)  # the same text in the same way would come to the same
        raise
    manifest = vouched(manifest, vocabulary)
    if is_in_store(target):
        place.check_still_ours(target, intent, manifest)
    write_companions(target, manifest, run, once=True, progress=progress)
    manifest.save(target, once=True)
    return manifest


def _with_fingerprint(options: PrepareOptions, given: Vocabulary | None) -> PrepareOptions:
    """The options as a manifest has them: a vocabulary is what it is, wherever its file lies."""
    if given is None or options.vocabulary == ByteVocabulary.kind:
        return options
    return dataclasses.replace(options, vocabulary=f"blake3:{given.fingerprint}")


def _manifest(
    options: PrepareOptions,
    sources: tuple[Source, ...],
    tasks: list[ShardTask],
    written: list[dict[str, journal.WrittenShard]],
    vocabulary: Vocabulary,
    formats: tuple[str, ...],
) -> Manifest:
    index_of = {source.name: index for index, source in enumerate(sources)}
    shards: dict[str, list[Shard]] = {split: [] for split in options.splits}
    for task, results in zip(tasks, written, strict=True):
        for split, result in results.items():
            pieces = task.pieces_of(split)
            shards[split].append(
                Shard(
                    file=split_path(task.paths[split])[1],
                    pieces=tuple(
                        ShardPiece(
                            index_of[piece.source.name], piece.start, piece.stop, num_documents
                        )
                        for piece, num_documents in zip(pieces, result.documents, strict=True)
                    ),
                    num_tokens=result.num_tokens,
                    num_records=result.num_records,
                    disk_bytes=result.num_bytes,
                    text_bytes=result.num_text_bytes,
                    blake3=result.blake3,
                )
            )
    skipped = _skipped(written)
    _check_documents(options, sources, shards, sum(each.num_rows for each in skipped.values()))
    in_all = {piece.source.name for task in tasks for piece in task.pieces if piece.split is None}
    return Manifest(
        name=options.name,
        options=dataclasses.asdict(options),
        vocabulary_fingerprint=vocabulary.fingerprint,
        vocabulary_size=vocabulary.size,
        dtype=vocabulary.dtype.name,
        separator_id=vocabulary.separator_id,
        record_tokens=options.record_tokens,
        sources=tuple(_info(source, source.name in in_all) for source in sources),
        skipped=tuple(
            SkippedRows(index_of[name], each.num_rows, each.first)
            for name, each in sorted(skipped.items(), key=lambda item: index_of[item[0]])
        ),
        splits={split: Split(shards=tuple(shards[split])) for split in options.splits},
        file_formats=formats,
        files={},
    )


def _skipped(written: list[dict[str, journal.WrittenShard]]) -> dict[str, Skipped]:
    """The bad rows of each source; of shards that are written together, each says the same."""
    skipped: dict[str, Skipped] = {}
    for results in written:
        for name, each in next(iter(results.values())).skipped.items():
            skipped.setdefault(name, Skipped()).join(each)
    return skipped


def _info(source: Source, in_all: bool) -> SourceInfo:
    return SourceInfo(
        name=source.name,
        source_bytes=source.source_bytes,
        length=source.length,
        is_document=not in_all,
        is_plain=not in_all and not source.format.compression,
    )


def _check_documents(
    options: PrepareOptions,
    sources: tuple[Source, ...],
    shards: dict[str, list[Shard]],
    num_skipped: int,
) -> None:
    """Refuses what only reading shows: no text, none in a large split; a separator nowhere.

    Warns (`TextWarning`) of another split without text.
    """
    besides = f" beside {num_skipped} bad rows (skipped, see `on_bad_row`)" if num_skipped else ""
    if not any(shard.text_bytes for split in shards.values() for shard in split):
        raise UserError(
            f"the text is empty: no byte of text{besides} in {count_text(len(sources), 'source')}, "
            f"such as {sources[0].shown}; name others"
        )
    num_documents = sum(shard.num_documents for split in shards.values() for shard in split)
    is_separated = options.document not in DOCUMENTS and all(
        source.format.is_plain_text for source in sources
    )
    if is_separated and num_documents <= len(sources):
        kinds = ", ".join(f"`{document}`" for document in DOCUMENTS)
        raise UserError(
            f"`document`: the separator {options.document!r} is not in the text "
            f"({count_text(len(sources), 'source')}, such as {sources[0].shown}); name one that "
            f"is, or one of {kinds}"
        )
    for split, written in shards.items():
        if any(shard.num_tokens for shard in written):
            continue
        problem = (
            f"`splits`: {split}={options.splits[split]:g} of "
            f"{count_text(num_documents, 'document')} is none"
        )
        remedy = "give more text, or `--splits train=1`"
        if is_largest(options.splits, split):
            raise UserError(f"{problem} at all; {remedy}")
        warnings.warn(
            f"{problem}: there is no text in {split}; {remedy}", TextWarning, stacklevel=2
        )
