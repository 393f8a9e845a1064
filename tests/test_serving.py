"""The dataset is a pure graph, which tf.data service serves; 100,000 shards are as few."""

import json
import shutil
from collections import Counter

import numpy as np
import tensorflow as tf
from corpora import make, text

from pipeline import mix, open_corpus

TRAIN = {"train": 1.0}


def batches(dataset):
    return [tuple(map(tuple, np.concatenate(batch, axis=1))) for batch in dataset]


def test_tf_data_service_serves_it(tmp_path):
    corpus = make(tmp_path, text(600), shard_bytes=200, record_tokens=7, splits=TRAIN)
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    workers = [
        service.WorkerServer(service.WorkerConfig(dispatcher_address=address)) for _ in range(2)
    ]
    dataset = corpus.windows("train", seq_len=9, stride=2, batch_size=4).take(25)
    straight = batches(dataset.as_numpy_iterator())
    served = dataset.apply(
        service.distribute(processing_mode=service.ShardingPolicy.OFF, service=dispatcher.target)
    )
    # Each worker gives every batch.
    assert Counter(batches(served.as_numpy_iterator())) == Counter(straight * len(workers))
    del workers


def test_every_way_to_read_is_a_pure_graph(tmp_path):
    corpus = make(tmp_path, text(600), record_tokens=7, splits=TRAIN)
    options = {"seq_len": 9, "batch_size": 4}
    for dataset in (
        corpus.windows("train", **options),
        corpus.windows("train", **options, across_documents=False),
        corpus.windows("train", **options, segments=True),
        corpus.lanes("train", **options),
        mix([(corpus, 1), (corpus, 2)], "train", **options),
    ):
        assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(dataset.element_spec))
        graph = dataset._as_serialized_graph().numpy()
        assert b"PyFunc" not in graph
        assert b"NumpyFunction" not in graph


def test_a_hundred_thousand_shards(tmp_path):
    """A corpus of 6.5 TB by its manifest; the shards that its first batch needs are there."""
    corpus = make(tmp_path, text(70_000), record_tokens=65536, splits=TRAIN)
    directory = tmp_path / "corpus"
    shard = corpus.splits["train"].shards[0]
    num_shards = 100_000
    manifest = json.loads((directory / "manifest.json").read_text())
    row = manifest["splits"]["train"]["shards"][0]
    (directory / shard.file).rename(tmp_path / "shard")
    shards = []
    for index in range(num_shards):
        name = f"text-train.tfrecord-{index:05d}-of-{num_shards:05d}"
        shards.append({**row, "file": name} if isinstance(row, dict) else [name, *row[1:]])
        if index < 64:
            shutil.copy(tmp_path / "shard", directory / name)
    manifest["splits"]["train"]["shards"] = shards
    (directory / "manifest.json").write_text(json.dumps(manifest))
    large = open_corpus(directory)
    assert len(large.splits["train"].shards) == num_shards
    num_windows = large.num_windows("train", seq_len=64)
    assert num_windows == num_shards * corpus.num_windows("train", seq_len=64)
    inputs, targets = next(iter(large.windows("train", seq_len=64, batch_size=32, seed=None)))
    assert inputs[:, 1:].numpy().tolist() == targets[:, :-1].numpy().tolist()
    # 6.5 TB: the numbers are exact, and a step far away costs a seek.
    far = large.windows("train", seq_len=64, batch_size=32, seed=None, start_step=num_windows // 32)
    assert next(iter(far))[0].shape == (32, 64)
