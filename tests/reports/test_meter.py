"""meter: means over steps, rates over time, evaluations to come."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
from training import tiny

from pipeline.layout.manifest import Shard, Split
from trainer.reports.meter import Meter, num_evaluations_left, peak_gpu_memory
from trainer.steps.runner import StepMetrics


def test_the_meter_means_over_steps_and_rates_over_time() -> None:
    shard = Shard(
        file="x",
        num_tokens=50,
        num_records=1,
        disk_bytes=1,
        blake3="",
        text_bytes=100,
        pieces=(),
    )
    config = tiny("c", "r", batch_size=4, seq_len=8, steps=20, eval_every=6)
    split = Split(shards=(shard,))
    meter = Meter(config, split, start_step=2, start_seconds=100.0)
    meter.evaluation_seconds = 7.0
    meter.add(StepMetrics(4.0, -1, 1.0, 1, 0.25, 1), seconds=1.0)
    meter.add(StepMetrics(1.0, -1, 2.0, 2, 0.25, 2), seconds=4.0)
    found = meter.figures(learning_rate=0.0020000000949949026)
    assert (found.step, found.tokens, found.seconds) == (5, 5 * 32, 105.0)
    assert found.loss == 2.0
    assert found.bits_per_byte == pytest.approx(2.0 / 0.693147 * 50 / 100, rel=1e-5)
    assert found.tokens_per_second == 3 * 32 / 5.0
    assert found.input_wait == 0.1
    assert found.learning_rate == 0.002
    assert found.gradient_norm == pytest.approx(5 / 3)
    assert found.skipped_steps == 3
    assert 50e6 < found.memory_bytes < 50e9
    assert found.gpu_memory_bytes is None
    # 15 steps at 5/3 s, and the evaluations after steps 6, 12, 18 and 20.
    assert found.seconds_left == pytest.approx(25.0 + 4 * 7.0)

    meter.add(StepMetrics(3.0, -1, 1.0, 0, 0.0, 1), seconds=2.0)
    found = meter.figures(learning_rate=0.1)
    assert (found.step, found.loss, found.input_wait) == (6, 3.0, 0.0)
    assert found.skipped_steps == 0
    assert found.tokens_per_second == 16.0
    assert meter.seconds == 107.0


def test_the_compilation_is_left_out_of_rates_unless_there_is_nothing_else() -> None:
    shard = Shard(
        file="x", num_tokens=50, num_records=1, disk_bytes=1, blake3="", text_bytes=100, pieces=()
    )
    config = tiny("c", "r", batch_size=4, seq_len=8, steps=20, eval_every=0)
    meter = Meter(config, Split(shards=(shard,)), start_step=0, start_seconds=0.0)
    assert meter.tokens_per_second is None
    meter.add(StepMetrics(4.0, -1, 1.0, 0, 3.0, 1), seconds=8.0, compiles=True)
    alone = meter.figures(learning_rate=0.1)
    assert (alone.tokens_per_second, alone.seconds_left, alone.input_wait) == (4.0, 19 * 8.0, 0.0)
    meter.add(StepMetrics(1.0, -1, 1.0, 0, 0.5, 4), seconds=2.0)
    assert meter.tokens_per_second == 64.0

    meter = Meter(config, Split(shards=(shard,)), start_step=0, start_seconds=0.0)
    meter.add(StepMetrics(4.0, -1, 1.0, 0, 3.0, 1), seconds=8.0, compiles=True)
    meter.add(StepMetrics(1.0, -1, 1.0, 0, 0.5, 4), seconds=2.0)
    found = meter.figures(learning_rate=0.1)
    assert (found.step, found.seconds, found.loss) == (5, 10.0, np.float32(8 / 5))
    assert (found.tokens_per_second, found.seconds_left) == (64.0, 15 * 0.5)
    assert found.input_wait == 0.25


def test_memory_is_that_of_this_hosts_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two hosts of two GPUs each, four are listed, by names of both hosts."""
    asked = {"GPU:0": 5, "GPU:1": 7}
    listed = [
        tf.config.LogicalDevice(f"/job:worker/replica:0/task:{host}/device:GPU:{index}", "GPU")
        for host in (0, 1)
        for index in (0, 1)
    ]
    own = [tf.config.PhysicalDevice(f"/physical_device:GPU:{index}", "GPU") for index in (0, 1)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: listed)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: own)
    monkeypatch.setattr(
        tf.config.experimental, "get_memory_info", lambda device: {"peak": asked[device]}
    )
    assert peak_gpu_memory() == 7


def test_the_evaluations_to_come_are_counted() -> None:
    for eval_every, steps in itertools.product((0, 1, 3, 4, 12, 50), (12, 13)):
        config = tiny("c", "r", eval_every=eval_every, steps=steps)
        for step in range(1, steps + 1):
            due = [
                later
                for later in range(step, steps + 1)
                if eval_every and (later % eval_every == 0 or later == steps)
            ]
            assert num_evaluations_left(config, step) == len(due)


def test_sums_that_were_saved_go_into_the_next_report() -> None:
    shard = Shard(
        file="x", num_tokens=50, num_records=1, disk_bytes=1, blake3="", text_bytes=100, pieces=()
    )
    config, split = tiny("c", "r"), Split(shards=(shard,))
    first = StepMetrics(1.1, -1, 0.3, 1, 0.25, 2), StepMetrics(0.7, -1, 0.1, 0, 0.5, 3)
    straight = Meter(config, split, start_step=0, start_seconds=1.0)
    assert straight.sums() == {}
    straight.add(first[0], seconds=3.0, compiles=True)
    resumed = Meter(
        config,
        split,
        start_step=2,
        start_seconds=1.0,
        sums=json.loads(json.dumps(straight.sums())),
    )
    assert resumed.seconds == straight.seconds == 4.0
    for meter in (straight, resumed):
        meter.add(first[1], seconds=1.0)
    found = [meter.figures(learning_rate=0.1) for meter in (straight, resumed)]
    named = [dataclasses.replace(figures, memory_bytes=0) for figures in found]
    assert named[0] == named[1]
    assert resumed.sums() == {}
