"""Repair: rebuilds from the sources the shards that fail, byte for byte."""

import functools
import os
from collections.abc import Iterable, Sequence

from pipeline.auditing.verify import verify
from pipeline.errors import UserError
from pipeline.files import (
    absolute_path,
    checked_output,
    join,
    make_directory,
    move,
    remove_tree,
    split_path,
    sync_directory,
)
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import FILE_NAME, Manifest, Shard, ShardPiece
from pipeline.preparing import journal
from pipeline.preparing.companions import write_companions
from pipeline.preparing.engines import Engine, local
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import written_together
from pipeline.preparing.shards import ShardTask, write_shard
from pipeline.progress import progress_bar
from pipeline.text.directories import Choice
from pipeline.text.pieces import Piece, Source
from pipeline.text.sources import find_sources
from pipeline.text.streams import is_stream
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.loading import load_vocabulary


def repair(
    directory: str | os.PathLike[str],
    sources: Iterable[str | os.PathLike[str]],
    *,
    workers: int = 1,
    progress: bool = False,
) -> tuple[str, ...]:
    """Rebuilds the shards of a corpus that `verify` finds fault with.

    Args:
        directory: the corpus; its manifest and its vocabulary must be whole.
        sources: the files and directories that it was prepared from.
        workers: processes.
        progress: shows progress bars.

    Returns:
        The files that were rebuilt.

    Raises:
        UserError: the manifest or the vocabulary is damaged, a source that is needed is missing
            or is not what it was, or something is wrong that no source can mend.
    """
    directory = checked_output(directory, "corpus")
    manifest = load_manifest(directory)
    options = _options(manifest)
    unknown = "replace" if options.replaces_unknown else "error"
    vocabulary = load_vocabulary(directory, unknown=unknown)
    if vocabulary.fingerprint != manifest.vocabulary_fingerprint:
        raise UserError(
            f"{directory}: its vocabulary is not the one that it was prepared with; put the file "
            "of the corpus back"
        )
    run = functools.partial(local.run, workers=workers)
    with journal.locked(directory):
        bad = verify(directory, workers=workers, progress=progress).bad_shards
        if bad:
            # Beside them: what is there goes when what replaces it is known to be right.
            aside = join(join(directory, journal.FOLDER), "repaired")
            remove_tree(aside)
            make_directory(aside)
            found = _find_sources(manifest, options, sources)
            tasks = _tasks(absolute_path(aside), manifest, options, bad, found)
            _rebuild(manifest, tasks, vocabulary, run, progress=progress)
            for file in bad:
                move(join(aside, file), join(directory, file))
            sync_directory(directory)
        write_companions(directory, manifest, run, progress=progress)
        journal.end(directory)
    problems = verify(directory, workers=workers, progress=progress).problems
    if problems:
        raise UserError(f"{directory}: cannot be repaired: {problems[0]}; prepare it again")
    return bad


def _options(manifest: Manifest) -> PrepareOptions:
    try:
        return PrepareOptions(**manifest.options)
    except TypeError as error:
        raise UserError(f"{FILE_NAME} is damaged: its options are none ({error})") from error


def _tasks(
    aside: str,
    manifest: Manifest,
    options: PrepareOptions,
    bad: Sequence[str],
    found: dict[str, Source],
) -> list[ShardTask]:
    """The tasks that write the shards `bad`, and those that are written with them."""
    tasks = []
    for shards in _written_together(manifest):
        if not any(shard.file in bad for shard in shards.values()):
            continue
        pieces = {}  # one of many documents stands in the shard of every split
        for split, shard in shards.items():
            for stored in shard.pieces:
                is_document = manifest.sources[stored.source_index].is_document
                pieces[stored.source_index, stored.start] = Piece(
                    source=_source(manifest, stored, found),
                    start=stored.start,
                    stop=stored.stop,
                    split=split if is_document else None,
                    ends_document=stored.num_documents > 0,
                )
        tasks.append(
            ShardTask(
                paths={split: join(aside, shard.file) for split, shard in shards.items()},
                pieces=tuple(piece for _, piece in sorted(pieces.items(), key=lambda i: i[0])),
                fractions=options.splits,
                record_tokens=manifest.record_tokens,
            )
        )
    return tasks


def _rebuild(
    manifest: Manifest,
    tasks: Sequence[ShardTask],
    vocabulary: Vocabulary,
    run: Engine,
    *,
    progress: bool,
) -> None:
    """Runs the tasks, and refuses what does not come out as it was."""
    total = sum(task.source_bytes for task in tasks)
    with progress_bar("repairing", total, progress) as bar:
        write = functools.partial(write_shard, vocabulary=vocabulary)
        written = run(write, tasks, advance=bar.update)
    digests = {
        split_path(task.paths[split])[1]: result.blake3
        for task, shards in zip(tasks, written, strict=True)
        for split, result in shards.items()
    }
    for shard in manifest.shards:
        if digests.get(shard.file, shard.blake3) != shard.blake3:
            raise UserError(_changed(manifest, shard))


def _written_together(manifest: Manifest) -> list[dict[str, Shard]]:
    """The shards that one task writes: one, or one for each split."""
    are_documents = [source.is_document for source in manifest.sources]
    return [
        dict(zip(splits, shards, strict=True))
        for splits in written_together(manifest.splits, are_documents)
        for shards in zip(*(manifest.splits[split].shards for split in splits), strict=True)
    ]


def _find_sources(
    manifest: Manifest, options: PrepareOptions, sources: Iterable[str | os.PathLike[str]]
) -> dict[str, Source]:
    given = [os.fspath(path) for path in sources]
    if any(map(is_stream, given)):
        raise UserError("standard input cannot be read again: prepare the corpus anew")
    names = {source.name for source in manifest.sources}
    found = find_sources(given, Choice(hidden=True), options.reading, only=names)
    return {source.name: source for source in found.sources}


def _source(manifest: Manifest, stored: ShardPiece, found: dict[str, Source]) -> Source:
    """The source of a piece, if it may still be the one that was prepared."""
    source = manifest.sources[stored.source_index]
    if source.name not in found:
        raise UserError(
            f"source {source.name} is needed and not among the sources given; give the same "
            "SOURCEs as to `textreel prepare`"
        )
    now = found[source.name]
    if (now.source_bytes, now.length) != (source.source_bytes, source.length):
        raise UserError(
            f"{now.path} has {now.source_bytes} bytes; it had {source.source_bytes} when the "
            "corpus was prepared: the shard cannot be rebuilt from it"
        )
    return now


def _changed(manifest: Manifest, shard: Shard) -> str:
    names = sorted({manifest.sources[piece.source_index].name for piece in shard.pieces})
    return (
        f"{shard.file} comes out otherwise than it was prepared: the text of "
        f"{', '.join(names[:5])} has changed since; prepare the corpus again"
    )
