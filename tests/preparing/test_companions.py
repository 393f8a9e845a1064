"""What stands beside the shards, written by an engine of the test."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from corpora import files, make, text

from pipeline.layout.names import ARRAY_RECORD, TFRECORD, array_record_path
from pipeline.preparing.companions import write_companions
from pipeline.preparing.engines import Advance


class Engine:
    """Runs tasks here, and remembers them."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []
        self.num_bytes = 0

    def __call__(
        self, function: Callable[..., Any], tasks: Sequence[Any], *, advance: Advance
    ) -> list[Any]:
        self.tasks += tasks

        def count(num_bytes: int) -> None:
            self.num_bytes += num_bytes
            advance(num_bytes)

        return [function(task, count) for task in tasks]


def test_they_follow_from_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = make(tmp_path, text(3000), shard_bytes=500, record_tokens=50)
    directory = Path(corpus.directory)
    plain = files(directory)
    monkeypatch.chdir(tmp_path)  # a worker that stands elsewhere still finds the shards
    engine = Engine()
    both = dataclasses.replace(corpus.manifest, file_formats=(TFRECORD, ARRAY_RECORD))
    write_companions(Path("corpus"), both, engine, progress=False)
    shards = [str(directory / shard.file) for shard in corpus.manifest.shards]
    assert engine.tasks == shards
    assert 0 < engine.num_bytes <= sum(shard.disk_bytes for shard in corpus.manifest.shards)
    assert all(Path(array_record_path(shard)).exists() for shard in shards)
    info = json.loads((directory / "dataset_info.json").read_text())
    assert info["alternativeFileFormats"] == ["array_record"]

    (directory / ".prepare").rmdir()  # where they lay meanwhile; nothing is left in it
    for name in ("dataset_info.json", "features.json"):
        (directory / name).unlink()
    idle = Engine()
    write_companions(directory, corpus.manifest, idle, progress=False)
    assert files(directory) == plain
    assert idle.tasks == []
