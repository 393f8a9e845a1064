"""Companions of the shards: the files that follow from them and from the manifest."""

import dataclasses

from blake3 import blake3

from pipeline.files import absolute_path, join, write_text
from pipeline.layout.array_record import remove_array_records, write_array_record
from pipeline.layout.dataset_info import dataset_info
from pipeline.layout.manifest import Manifest
from pipeline.layout.names import ARRAY_RECORD, array_record_path
from pipeline.preparing import journal
from pipeline.preparing.engines import Advance, Engine
from pipeline.progress import progress_bar
from pipeline.vocabulary.base import Vocabulary


def vouched(manifest: Manifest, vocabulary: Vocabulary) -> Manifest:
    """Returns the manifest with the digests of the files beside the shards."""
    digests = {vocabulary.file_name: vocabulary.fingerprint} | {
        name: blake3(text.encode()).hexdigest() for name, text in dataset_info(manifest).items()
    }
    return dataclasses.replace(manifest, files=digests)


def write_companions(
    directory: str, manifest: Manifest, run: Engine, *, once: bool = False, progress: bool
) -> None:
    """Writes what TFDS reads: its metadata and, if the manifest says so, array_record files.

    Args:
        directory: of the corpus; its shards are there.
        manifest: what it holds.
        run: writes the array_record files; those that are there go.
        once: see `whole_file`.
        progress: shows a progress bar.
    """
    remove_array_records(directory)
    for name, text in dataset_info(manifest).items():
        write_text(join(directory, name), text, once=once)
    if ARRAY_RECORD not in manifest.file_formats:
        return
    # absolute: a worker may stand elsewhere
    place = absolute_path(directory)
    paths = [join(place, shard.file) for shard in manifest.shards]
    total = sum(shard.disk_bytes for shard in manifest.shards)
    with progress_bar("writing array_record files", total, progress) as bar:
        run(_copy_shard, paths, advance=bar.update)


def _copy_shard(tfrecord_path: str, advance: Advance) -> None:
    temporary = journal.temporary_path(array_record_path(tfrecord_path))
    write_array_record(tfrecord_path, temporary, advance)
