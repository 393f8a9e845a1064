"""Companions of the shards: the files that follow from them and from the manifest."""

from pathlib import Path

from pipeline.layout.array_record import remove_array_records, write_array_record
from pipeline.layout.dataset_info import write_dataset_info
from pipeline.layout.manifest import Manifest
from pipeline.layout.names import array_record_path
from pipeline.preparing import journal
from pipeline.preparing.engines import Advance, Engine
from pipeline.progress import progress_bar


def write_companions(
    directory: Path, manifest: Manifest, run: Engine, *, array_record: bool, progress: bool
) -> None:
    """Writes what TFDS reads: its metadata and, if wanted, the array_record files.

    Args:
        directory: of the corpus; its shards are there.
        manifest: what it holds.
        run: writes the array_record files.
        array_record: whether there shall be any; others that are there go.
        progress: shows a progress bar.
    """
    remove_array_records(directory)
    write_dataset_info(directory, manifest, array_record=array_record)
    if not array_record:
        return
    # absolute: a worker may stand elsewhere
    paths = [str(directory.absolute() / shard.file) for shard in manifest.shards]
    total = sum(shard.disk_bytes for shard in manifest.shards)
    with progress_bar("writing array_record files", total, progress) as bar:
        run(_copy_shard, paths, advance=bar.update)


def _copy_shard(tfrecord_path: str, advance: Advance) -> None:
    temporary = journal.temporary_path(array_record_path(tfrecord_path))
    write_array_record(tfrecord_path, temporary, advance)
