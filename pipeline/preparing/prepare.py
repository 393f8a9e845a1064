"""Preparing: plan a corpus, write its shards, then its manifest."""

import contextlib
import dataclasses
import functools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import OptionError, TextWarning, UserError
from pipeline.files import (
    StoreError,
    checked_path,
    entries,
    exists,
    is_in_store,
    join,
    names_in,
    split_path,
)
from pipeline.layout.array_record import check_installed
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import (
    FILE_NAME,
    Manifest,
    Shard,
    ShardPiece,
    SkippedRows,
    SourceInfo,
    Split,
)
from pipeline.layout.names import ARRAY_RECORD, TFRECORD
from pipeline.preparing import journal, replacement
from pipeline.preparing.companions import vouched, write_companions
from pipeline.preparing.engines import Engine, local
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Plan, is_largest, make_plan
from pipeline.preparing.shards import ShardTask, make_tasks, write_shard
from pipeline.preparing.vocabularies import given_vocabulary, make_vocabulary
from pipeline.progress import progress_bar
from pipeline.sizes import count_text
from pipeline.text.bad_rows import Skipped
from pipeline.text.directories import Choice
from pipeline.text.pieces import DOCUMENTS, Source
from pipeline.text.sources import Found, check_unchanged, find_sources
from pipeline.text.streams import is_stream, spooled
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
        array_record: also writes the records as array_record files, for `tfds.data_source`.
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
    directory = checked_path(output, "output")
    given = [checked_path(source, "sources") for source in sources]
    _check_directory(directory, given, is_shared=engine is not None)
    with journal.locked(directory):
        replaced = None  # the intent whose replacement was under way
        if replacement.is_under_way(directory):
            replaced = journal.begun(replacement.stage_of(directory))
            replacement.replace(directory)
        choice = Choice(glob=glob, hidden=hidden, leave_out=directory)

        with _stream_paths(directory) as make_path, spooled(given, make_path) as kept:
            listed = find_sources(kept, choice, options.reading)
            if on_found is not None:
                on_found(listed)
            found = listed.sources
            known = given_vocabulary(options)
            options = _with_fingerprint(options, known)
            intent = journal.intent_of(options, found)
            if replaced is not None and intent == {name: replaced.get(name) for name in intent}:
                return load_manifest(directory)
            if not overwrite and replacement.is_made(directory, options, found, formats):
                if on_kept is not None:
                    on_kept()
                return load_manifest(directory)
            target = _target(directory, intent, overwrite)
            if overwrite and not journal.is_same(target, intent):
                replacement.discard(target)
            _check_remains(target)
            plan = make_plan(found, options)
            vocabulary = _vocabulary(target, intent, plan, options, known, run, progress)
            # absolute: a worker may stand elsewhere
            place = target if is_in_store(target) else os.path.abspath(target)
            tasks = make_tasks(plan, options, place)
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


@contextlib.contextmanager
def _stream_paths(directory: str) -> Iterator[Callable[[str], str]]:
    """Where streams are kept: among the journal's files, or here for a corpus in a store."""
    if not is_in_store(directory):
        yield lambda name: journal.temporary_path(join(directory, name))
        return
    with tempfile.TemporaryDirectory(prefix="textreel-") as folder:

        def make_path(name: str) -> str:
            inner = os.path.join(folder, "streams")
            os.makedirs(inner, exist_ok=True)
            return os.path.join(inner, name)

        yield make_path


def _target(directory: str, intent: dict[str, Any], overwrite: bool) -> str:
    """Where the corpus is made: in its directory, or beside a whole one that it replaces.

    Raises:
        UserError: there is a whole corpus, which is not to be replaced.
    """
    if not exists(join(directory, FILE_NAME)) or journal.is_same(directory, intent):
        return directory
    if not overwrite:
        raise UserError(
            f"`output` {directory} holds a corpus, not of these options and sources as they are "
            "now; nothing was changed: name a new directory, or replace it with `--overwrite`"
        )
    return replacement.stage_of(directory)


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
        _check_ours(target, intent, manifest)
    write_companions(target, manifest, run, once=True, progress=progress)
    manifest.save(target, once=True)
    return manifest


def _check_ours(target: str, intent: dict[str, Any], manifest: Manifest) -> None:
    """Refuses what another prepare has taken over meanwhile, in a store, which holds no lock."""
    if not journal.is_same(target, intent):
        try:
            ended = load_manifest(target)
        except StoreError:
            raise
        except UserError:
            ended = None
        if ended is None or ended.fingerprint != manifest.fingerprint:
            raise UserError(
                f"`output` {target}: another prepare has taken the place over; what it makes was "
                "left alone: name another directory"
            )
    listed = entries(target)
    for shard in manifest.shards:
        status = listed.get(shard.file)
        if status is None or status.num_bytes != shard.disk_bytes:
            raise UserError(
                f"{join(target, shard.file)} is gone, or is not what was written: does another "
                "program work there? Run the same command again"
            )


def _with_fingerprint(options: PrepareOptions, given: Vocabulary | None) -> PrepareOptions:
    """The options as a manifest has them: a vocabulary is what it is, wherever its file lies."""
    if given is None or options.vocabulary == ByteVocabulary.kind:
        return options
    return dataclasses.replace(options, vocabulary=f"blake3:{given.fingerprint}")


def _check_remains(target: str) -> None:
    """Refuses a place in a store with files of a prepare that nothing is known of."""
    if is_in_store(target) and journal.begun(target) is None and names_in(target):
        raise UserError(
            f"`output` {target} holds what is left of an unfinished corpus, without its plan; "
            "nothing was changed: start anew with `--overwrite`"
        )


def _check_directory(output: str, sources: list[str], *, is_shared: bool) -> None:
    """Refuses an output that cannot be written, or that has other files; touches nothing."""
    if is_in_store(output):
        if is_shared and any(map(is_stream, sources)):
            raise UserError(
                "a stream, such as standard input, stays on this machine, where workers elsewhere "
                f"do not see it: put it into a file of a store, for `output` {output}"
            )
        _check_names(output, names_in(output))
        return
    directory = Path(output)
    if directory.is_symlink() and not directory.exists():
        raise UserError(
            f"`output` {directory} is a symbolic link to a directory that is not there; make that, "
            "or name another"
        )
    if directory.exists() and not directory.is_dir():
        raise UserError(f"`output` {directory} exists and is not a directory")
    parent = next(path for path in [directory, *directory.absolute().parents] if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(parent).f_flag & os.ST_RDONLY
        why = "a read-only file system holds" if is_read_only else "no permission in"
        raise UserError(f"`output` {directory} cannot be written: {why} {parent}; name another")
    if directory.is_dir():
        _check_names(output, os.listdir(directory))


def _check_names(directory: str, names: list[str]) -> None:
    if names and FILE_NAME not in names and journal.FOLDER not in names:
        raise UserError(
            f"`output` {directory} exists and is no corpus; textreel will not write among other "
            "files: name a new directory"
        )


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
    besides = f" beside {num_skipped} bad rows, which `on_bad_row` skips" if num_skipped else ""
    if not any(shard.text_bytes for split in shards.values() for shard in split):
        raise UserError(
            f"the text is empty: no byte of it is in {count_text(len(sources), 'source')}, such as "
            f"{sources[0].shown}{besides}; name others"
        )
    num_documents = sum(shard.num_documents for split in shards.values() for shard in split)
    is_separated = options.document not in DOCUMENTS and all(
        source.format.is_plain_text for source in sources
    )
    if is_separated and num_documents <= len(sources):
        raise UserError(
            f"`document`: the separator {options.document!r} is not in the text "
            f"({count_text(len(sources), 'source')}, such as {sources[0].path})"
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
