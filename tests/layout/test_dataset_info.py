"""Our metadata of a corpus is what TFDS itself would write."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import PrepareOptions, prepare
from pipeline.layout.dataset_info import (
    FEATURES_FILE,
    INFO_FILE,
    VERSION,
    dataset_info,
    description,
)
from pipeline.layout.names import ARRAY_RECORD, TFRECORD


@pytest.mark.parametrize("array_record", [False, True])
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
@pytest.mark.parametrize("splits", [{"train": 1.0}, {"train": 0.6, "validation": 0.3, "test": 0.1}])
def test_the_same_json_as_tfds_writes(
    tmp_path: Path, vocabulary: str, splits: dict[str, float], array_record: bool
) -> None:
    import tensorflow_datasets as tfds

    text = tmp_path / "text.txt"
    text.write_text("".join(chr(0x4E00 + i) + "ab\n" for i in range(400)), encoding="utf-8")
    options = PrepareOptions(
        name="han", vocabulary=vocabulary, splits=splits, shard_bytes=600, record_tokens=64
    )
    directory = tmp_path / "corpus"
    manifest = prepare([text], directory, options, workers=1)
    assert len(manifest.splits["train"].shards) > 1
    formats = (TFRECORD, ARRAY_RECORD) if array_record else (TFRECORD,)
    for name, content in dataset_info(dataclasses.replace(manifest, file_formats=formats)).items():
        (directory / name).write_text(content)
    theirs = tmp_path / "theirs"
    shutil.copytree(directory, theirs, ignore=shutil.ignore_patterns("*.json"))
    tfds.folder_dataset.write_metadata(
        data_dir=theirs,
        version=VERSION,
        check_data=False,
        features={
            "tokens": tfds.features.Tensor(
                shape=(None,), dtype=np.dtype(manifest.dtype), encoding="bytes"
            )
        },
        split_infos=[
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=[shard.num_records for shard in split.shards],
                num_bytes=sum(shard.disk_bytes for shard in split.shards),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=theirs,
                    dataset_name=manifest.name,
                    split=name,
                    filetype_suffix="tfrecord",
                ),
            )
            for name, split in manifest.splits.items()
        ],
        alternative_file_formats=["array_record"] if array_record else [],
        description=description(manifest),
    )
    for name in (INFO_FILE, FEATURES_FILE):
        ours = json.loads((directory / name).read_text())
        assert ours == json.loads((theirs / name).read_text())
