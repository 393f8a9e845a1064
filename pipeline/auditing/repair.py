"""Rebuilds from the sources the shards that fail, byte for byte."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.auditing.verify import verify
from pipeline.errors import UserError
from pipeline.layout import array_record as random_access
from pipeline.layout.dataset_info import write_dataset_info
from pipeline.layout.manifest import Manifest, Shard, load_manifest
from pipeline.preparing import journal
from pipeline.preparing.engines import local
from pipeline.preparing.plan import Piece, ShardTask, SplitOf, name_bytes
from pipeline.preparing.shards import write_shard
from pipeline.preparing.vocabularies import load_vocabulary
from pipeline.progress import progress_bar
from pipeline.text.sources import STANDARD_INPUT, Reading, Source, find_sources
from pipeline.vocabulary.base import Vocabulary


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
    directory = Path(directory)
    manifest = load_manifest(directory)
    replaced = manifest.options["unknown"] == "replace" or manifest.options["min_count"] > 1
    vocabulary = load_vocabulary(directory, unknown="replace" if replaced else "error")
    if vocabulary.fingerprint != manifest.vocabulary_fingerprint:
        raise UserError(f"{directory}: its vocabulary is not that of the manifest; prepare again")
    with journal.locked(directory):
        bad = verify(directory, workers=workers, progress=progress).bad_shards
        if bad:
            _rebuild(directory, manifest, vocabulary, bad, sources, workers, progress)
        array_record = random_access.remove_array_records(directory)
        write_dataset_info(directory, manifest, array_record=array_record)
        if array_record:
            paths = [
                str(directory / shard.file)
                for split in manifest.splits.values()
                for shard in split.shards
            ]
            run = random_access.write_array_record
            with progress_bar("writing array_record files", _on_disk(manifest), progress) as bar:
                local.run(run, paths, workers=workers, advance=bar.update)
        journal.end(directory)
    problems = verify(directory, workers=workers, progress=progress).problems
    if problems:
        raise UserError(f"{directory}: cannot be repaired: {problems[0]}; prepare it again")
    return bad


def _rebuild(
    directory: Path,
    manifest: Manifest,
    vocabulary: Vocabulary,
    bad: tuple[str, ...],
    sources: Iterable[str | os.PathLike[str]],
    workers: int,
    progress: bool,
) -> None:
    found = _find_sources(manifest, sources)
    by_name = SplitOf(manifest.options["splits"])
    tasks = []
    for shards in _written_together(manifest):
        if not any(shard.file in bad for shard in shards.values()):
            continue
        pieces = {}  # one of many documents stands in the shard of every split
        for split, shard in shards.items():
            for index, start, stop, _ in shard.pieces:
                piece = _piece(manifest, found, index, start, stop)
                if piece.source.is_document:
                    split_of_piece = (
                        split if len(shards) == 1 else by_name(name_bytes(piece.source))
                    )
                    piece = dataclasses.replace(piece, split=split_of_piece)
                pieces[index, start] = piece
        tasks.append(
            ShardTask(
                paths={split: str(directory / shard.file) for split, shard in shards.items()},
                pieces=tuple(piece for _, piece in sorted(pieces.items(), key=lambda i: i[0])),
                fractions=manifest.options["splits"],
                vocabulary=vocabulary,
                record_tokens=manifest.record_tokens,
            )
        )
    with progress_bar("repairing", sum(task.num_bytes for task in tasks), progress) as bar:
        written = local.run(write_shard, tasks, workers=workers, advance=bar.update)
    results = {
        task.paths[split]: result.sha256
        for task, shards in zip(tasks, written, strict=True)
        for split, result in shards.items()
    }
    for content in manifest.splits.values():
        for shard in content.shards:
            if results.get(str(directory / shard.file), shard.sha256) != shard.sha256:
                raise UserError(_changed(manifest, shard))


def _on_disk(manifest: Manifest) -> int:
    return sum(shard.num_bytes for split in manifest.splits.values() for shard in split.shards)


def _written_together(manifest: Manifest) -> list[dict[str, Shard]]:
    """The shards that one task writes: one, or one for each split (see `plan`)."""
    if all(source.is_document for source in manifest.sources):
        return [{name: shard} for name, split in manifest.splits.items() for shard in split.shards]
    names = list(manifest.splits)
    columns = zip(*(split.shards for split in manifest.splits.values()), strict=True)
    return [dict(zip(names, shards, strict=True)) for shards in columns]


def _find_sources(
    manifest: Manifest, sources: Iterable[str | os.PathLike[str]]
) -> dict[str, Source]:
    options = manifest.options
    reading = Reading(document=options["document"], text_field=options["text_field"])
    given = [os.fspath(path) for path in sources]
    if STANDARD_INPUT in given:
        raise UserError("standard input cannot be read again: prepare the corpus anew")
    return {source.name: source for source in find_sources(given, reading=reading)}


def _piece(
    manifest: Manifest, found: dict[str, Source], index: int, start: int, stop: int
) -> Piece:
    source = manifest.sources[index]
    if source.name not in found:
        raise UserError(
            f"source {source.name} is needed and not among the sources given; give the same"
            " SOURCEs as to `textreel prepare`"
        )
    now = found[source.name]
    if (now.num_bytes, now.length) != (source.num_bytes, source.length):
        raise UserError(
            f"{now.path} has {now.num_bytes} bytes; it had {source.num_bytes} when the"
            " corpus was prepared: the shard cannot be rebuilt from it"
        )
    return Piece(source=now, start=start, stop=stop)


def _changed(manifest: Manifest, shard: Shard) -> str:
    names = sorted({manifest.sources[index].name for index, _, _, _ in shard.pieces})
    return (
        f"{shard.file} comes out otherwise than it was prepared: the text of {', '.join(names[:5])}"
        " has changed since; prepare the corpus again"
    )
