"""Text -> corpus: plan, write the shards, then the manifest."""

import dataclasses
import functools
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline import journal
from pipeline import manifest as manifest_lib
from pipeline.engines import local
from pipeline.errors import OptionError, UserError
from pipeline.manifest import Manifest, Shard, Split
from pipeline.plan import Piece, PrepareOptions, ShardTask, plan_pieces, shard_file_name
from pipeline.progress import progress_bar
from pipeline.records import Written
from pipeline.shards import find_code_points, write_shard
from pipeline.sources import Source, find_cut, find_sources
from pipeline.vocabulary import ByteVocabulary, CharVocabulary, Vocabulary, load_vocabulary


def prepare(
    sources: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: PrepareOptions | None = None,
    *,
    glob: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Manifest:
    """Prepares a corpus from files and directories of text.

    A prepare that stopped goes on where it was when it is called again: finished shards are
    kept after their digest is checked.

    Args:
        sources: files and directories.
        output: the directory to make.
        options: what the corpus's bytes depend on.
        glob: within directories, only files whose name matches.
        workers: processes; `None` takes one a core. Changes no byte.
        overwrite: replaces a corpus that is there, finished or not.
        progress: shows a progress bar.

    Returns:
        What was made, as it stands in `manifest.json`.

    Raises:
        UserError: sources, options or an output directory that cannot work; an unfinished
            corpus that was begun otherwise, or that another process is at work on.
        OSError: a file cannot be read or written.
    """
    options = options or PrepareOptions()
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise OptionError(f"`workers` must be at least 1, not {workers}")
    directory = Path(output)
    _check_output(directory, overwrite)
    found = find_sources(sources, glob=glob)
    description = journal.describe(options, found)
    begun = not overwrite and journal.begun(directory, description)
    pieces = plan_pieces(found, options, find_cut=find_cut)
    if begun:
        vocabulary = load_vocabulary(directory)
    else:
        vocabulary = _make_vocabulary(pieces, options, workers, progress)
    with journal.locked(directory):
        if not begun:
            _remove_corpus(directory)
            vocabulary.save(directory)
            journal.begin(directory, description)
        return _write(directory, options, found, pieces, vocabulary, workers, progress)


def default_workers() -> int:
    """One process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(
    directory: Path,
    options: PrepareOptions,
    sources: tuple[Source, ...],
    pieces: dict[str, list[tuple[Piece, ...]]],
    vocabulary: Vocabulary,
    workers: int,
    progress: bool,
) -> Manifest:
    """Writes the shards that the journal does not have yet, then makes the corpus complete."""
    tasks = [
        ShardTask(
            path=str(directory / shard_file_name(options.name, split, index, len(shards))),
            split=split,
            pieces=shard,
            vocabulary=vocabulary,
            record_tokens=options.record_tokens,
        )
        for split, shards in pieces.items()
        for index, shard in enumerate(shards)
    ]
    with progress_bar("writing shards", sum(task.num_bytes for task in tasks), progress) as bar:
        written = local.run(write_shard, tasks, workers=workers, advance=bar.update)
    manifest = _manifest(options, vocabulary, sources, tasks, written)
    write_tfds_metadata(directory, manifest)
    manifest.save(directory)
    journal.end(directory)
    return manifest


def _make_vocabulary(
    pieces: dict[str, list[tuple[Piece, ...]]],
    options: PrepareOptions,
    workers: int,
    progress: bool,
) -> Vocabulary:
    if options.vocabulary == ByteVocabulary.kind:
        return ByteVocabulary()
    shards = [shard for shards in pieces.values() for shard in shards]
    total = sum(piece.stop - piece.start for shard in shards for piece in shard)
    with progress_bar("finding characters", total, progress) as bar:
        found = local.run(find_code_points, shards, workers=workers, advance=bar.update)
    return CharVocabulary(functools.reduce(np.union1d, found))


def _check_output(directory: Path, overwrite: bool) -> None:
    """Refuses an output that would lose something or cannot be written; touches nothing."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"`output` {directory} exists and is not a directory")
    parent = next(path for path in [directory, *directory.absolute().parents] if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"`output` {directory} cannot be written: no permission in {parent}")
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    complete = (directory / manifest_lib.FILE_NAME).exists()
    if complete and not journal.has_plan(directory) and not overwrite:
        raise UserError(
            f"`output` {directory} holds a corpus; nothing was changed: name a new directory, or"
            " replace it with `--overwrite`"
        )
    if not complete and not (directory / journal.FOLDER).is_dir():
        raise UserError(
            f"`output` {directory} exists and is no corpus; textreel will not write among other"
            " files: name a new directory"
        )


def _remove_corpus(directory: Path) -> None:
    """Removes what an earlier prepare left; the manifest first: it ceases to be a corpus."""
    (directory / manifest_lib.FILE_NAME).unlink(missing_ok=True)
    for file in directory.glob("*.tfrecord-*-of-*"):
        file.unlink()


def _manifest(
    options: PrepareOptions,
    vocabulary: Vocabulary,
    sources: tuple[Source, ...],
    tasks: list[ShardTask],
    written: list[Written],
) -> Manifest:
    index_of = {source.name: index for index, source in enumerate(sources)}
    shards: dict[str, list[Shard]] = {split: [] for split in options.splits}
    documents: dict[str, set[str]] = {split: set() for split in options.splits}
    for task, result in zip(tasks, written, strict=True):
        documents[task.split].update(piece.source.name for piece in task.pieces)
        shards[task.split].append(
            Shard(
                file=os.path.basename(task.path),
                num_text_bytes=task.num_bytes,
                pieces=tuple((index_of[p.source.name], p.start, p.stop) for p in task.pieces),
                **dataclasses.asdict(result),
            )
        )
    return Manifest(
        name=options.name,
        options=dataclasses.asdict(options),
        vocabulary_fingerprint=vocabulary.fingerprint,
        vocabulary_size=vocabulary.size,
        dtype=vocabulary.dtype.name,
        separator_id=vocabulary.separator_id,
        record_tokens=options.record_tokens,
        sources=tuple((source.name, source.num_bytes) for source in sources),
        splits={
            split: Split(shards=tuple(shards[split]), num_documents=len(documents[split]))
            for split in options.splits
        },
    )


def write_tfds_metadata(directory: Path, manifest: Manifest) -> None:
    """Makes the directory a TensorFlow Datasets dataset as well."""
    import tensorflow_datasets as tfds  # slow to import; imports no TensorFlow here

    split_infos = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[shard.num_records for shard in content.shards],
            num_bytes=sum(shard.num_bytes for shard in content.shards),
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=directory,
                dataset_name=manifest.name,
                split=split,
                filetype_suffix="tfrecord",
            ),
        )
        for split, content in manifest.splits.items()
    ]
    tokens = tfds.features.Tensor(shape=(None,), dtype=np.dtype(manifest.dtype), encoding="bytes")
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        version="1.0.0",
        check_data=False,
        features={"tokens": tokens},
        split_infos=split_infos,
        description=f"Tokens prepared by textreel; vocabulary of {manifest.vocabulary_size} ids.",
    )
