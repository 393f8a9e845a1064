"""Rebuilds from the sources the shards that fail, byte for byte."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline import journal
from pipeline.engines import local
from pipeline.errors import UserError
from pipeline.manifest import Manifest, Shard, load_manifest
from pipeline.plan import Piece, ShardTask
from pipeline.preparation import write_tfds_metadata
from pipeline.progress import progress_bar
from pipeline.shards import write_shard
from pipeline.sources import Source, find_sources
from pipeline.verify import verify
from pipeline.vocabulary import Vocabulary, load_vocabulary


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
    vocabulary = load_vocabulary(directory)
    if vocabulary.fingerprint != manifest.vocabulary_fingerprint:
        raise UserError(f"{directory}: vocabulary.json is not that of the manifest; prepare again")
    with journal.locked(directory):
        bad = verify(directory, workers=workers, progress=progress).bad_shards
        if bad:
            _rebuild(directory, manifest, vocabulary, bad, sources, workers, progress)
        write_tfds_metadata(directory, manifest)
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
    found = {source.name: source for source in find_sources(sources)}
    shards = [
        (split, shard)
        for split, content in manifest.splits.items()
        for shard in content.shards
        if shard.file in bad
    ]
    tasks = [
        ShardTask(
            path=str(directory / shard.file),
            split=split,
            pieces=tuple(_piece(manifest, found, *piece) for piece in shard.pieces),
            vocabulary=vocabulary,
            record_tokens=manifest.record_tokens,
        )
        for split, shard in shards
    ]
    with progress_bar("repairing", sum(task.num_bytes for task in tasks), progress) as bar:
        written = local.run(write_shard, tasks, workers=workers, advance=bar.update)
    for (_, shard), result in zip(shards, written, strict=True):
        if result.sha256 != shard.sha256:
            raise UserError(_changed(manifest, shard))


def _piece(
    manifest: Manifest, found: dict[str, Source], source_index: int, start: int, stop: int
) -> Piece:
    name, num_bytes = manifest.sources[source_index]
    if name not in found:
        raise UserError(
            f"source {name} is needed and not among the sources given; give the same SOURCEs as"
            " to `textreel prepare`"
        )
    if found[name].num_bytes != num_bytes:
        raise UserError(
            f"{found[name].path} has {found[name].num_bytes} bytes; it had {num_bytes} when the"
            " corpus was prepared: the shard cannot be rebuilt from it"
        )
    return Piece(source=found[name], start=start, stop=stop)


def _changed(manifest: Manifest, shard: Shard) -> str:
    names = sorted({manifest.sources[source][0] for source, _, _ in shard.pieces})
    return (
        f"{shard.file} comes out otherwise than it was prepared: the text of {', '.join(names[:5])}"
        " has changed since; prepare the corpus again"
    )
