"""Names of the files of a corpus, as TensorFlow Datasets expects them."""

TFRECORD, ARRAY_RECORD = "tfrecord", "array_record"  # as TFDS names the formats


def shard_file_name(name: str, split: str, shard_index: int, num_shards: int) -> str:
    """Returns the name of a shard's file: `text-train.tfrecord-00000-of-00016`."""
    return f"{name}-{split}.{TFRECORD}-{shard_index:05d}-of-{num_shards:05d}"


def around_shard_index(file: str) -> tuple[str, str]:
    """Returns what stands in the name of a split's first shard before and after its index."""
    before, _, after = file.rpartition("-00000-of-")
    return f"{before}-", f"-of-{after}"


def array_record_path(tfrecord_path: str) -> str:
    """Returns the file beside a shard: `text-train.array_record-00000-of-00016`."""
    before, _, after = tfrecord_path.rpartition(f".{TFRECORD}-")
    return f"{before}.{ARRAY_RECORD}-{after}"


def shards_pattern(file_format: str) -> str:
    """Returns a glob pattern that matches the shards of a format."""
    return f"*.{file_format}-*-of-*"
