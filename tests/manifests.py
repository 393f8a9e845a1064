"""A manifest for tests, small and valid."""

from pipeline.layout.manifest import Manifest, Shard, ShardPiece, SkippedRows, SourceInfo, Split

MANIFEST = Manifest(
    name="text",
    options={"vocabulary": "char", "splits": {"train": 0.9, "test": 0.1}},
    vocabulary_fingerprint="f0" * 32,
    vocabulary_size=300,
    dtype="uint16",
    separator_id=0,
    record_tokens=4,
    sources=(
        SourceInfo("a b.txt", 90, 90, True, True),
        SourceInfo("日.gz", 50, 50, True, False),
        SourceInfo("x.parquet", 70, 7, False, False),
    ),
    skipped=(SkippedRows(2, 3, ((0, "row", "the field 'text' is null"), (5, "row", "not UTF-8"))),),
    splits={
        "train": Split(
            shards=(
                Shard(
                    file="text-train.tfrecord-00000-of-00002",
                    num_tokens=9,
                    num_records=3,
                    disk_bytes=120,
                    text_bytes=7,
                    blake3="ab" * 32,
                    pieces=(ShardPiece(0, 0, 40, 0), ShardPiece(2, 0, 7, 2)),
                ),
                Shard(
                    file="text-train.tfrecord-00001-of-00002",
                    num_tokens=5,
                    num_records=2,
                    disk_bytes=78,
                    text_bytes=4,
                    blake3="cd" * 32,
                    pieces=(ShardPiece(0, 40, 90, 1),),
                ),
            ),
        ),
        "test": Split(
            shards=(
                Shard(
                    file="text-test.tfrecord-00000-of-00001",
                    num_tokens=0,
                    num_records=0,
                    disk_bytes=0,
                    text_bytes=0,
                    blake3="ef" * 32,
                    pieces=(),
                ),
            ),
        ),
    },
    file_formats=("tfrecord",),
    files={
        "vocabulary.json": "01" * 32,
        "dataset_info.json": "02" * 32,
        "features.json": "03" * 32,
    },
)
