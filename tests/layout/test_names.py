"""Names of files, as TFDS writes and finds them."""

import fnmatch

from pipeline.layout.names import (
    ARRAY_RECORD,
    TFRECORD,
    around_shard_index,
    array_record_path,
    shard_file_name,
    shards_pattern,
)


def test_file_names_are_those_of_tfds() -> None:
    import tensorflow_datasets as tfds

    assert shard_file_name("text", "train", 3, 16) == "text-train.tfrecord-00003-of-00016"
    for index, count in [(0, 1), (3, 16), (12_345, 99_999)]:
        template = tfds.core.ShardedFileTemplate(
            data_dir="/", dataset_name="my-text", split="test", filetype_suffix="tfrecord"
        )
        theirs = template.sharded_filepath(shard_index=index, num_shards=count).name
        assert shard_file_name("my-text", "test", index, count) == theirs


def test_a_name_is_what_stands_around_its_index() -> None:
    for count in (1, 16, 100_000, 1_234_567):
        first = shard_file_name("a-of-b", "train", 0, count)
        before, after = around_shard_index(first)
        for index in {0, count // 2, count - 1}:
            name = f"{before}{index:05d}{after}"
            assert name == shard_file_name("a-of-b", "train", index, count)


def test_the_array_record_of_a_shard_lies_beside_it() -> None:
    assert (
        array_record_path("/a.tfrecord-b/text-train.tfrecord-00000-of-00016")
        == "/a.tfrecord-b/text-train.array_record-00000-of-00016"
    )


def test_patterns_match_the_files_of_their_format_alone() -> None:
    shard = shard_file_name("text", "train", 0, 1)
    names = [shard, array_record_path(shard), "manifest.json", f"{shard}.incomplete/x"]
    assert fnmatch.filter(names[:3], shards_pattern(TFRECORD)) == names[:1]
    assert fnmatch.filter(names[:3], shards_pattern(ARRAY_RECORD)) == names[1:2]
