"""lanes: states go on and into checkpoints, resuming, replicas."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelling import build, flat, forgotten
from training import assert_same_bits, checkpoint_arrays, run_child, tiny

from pipeline import Corpus, UserError
from trainer.evaluation.evaluate import evaluate
from trainer.generation.sampler import generate
from trainer.loop import train
from trainer.models import LanguageModel
from trainer.reports.metrics import read_metrics
from trainer.steps.assembly import Assembly, assemble
from trainer.steps.compiling import compiling
from trainer.steps.feed import training_feed
from trainer.steps.lanes import LaneState

recurrent = pytest.mark.parametrize("model", ["lstm", "gru", "mingru"])


def read_on(
    lanes: LaneState, model: LanguageModel, tokens: tf.Tensor, resets: tf.Tensor
) -> tf.Tensor:
    head, state = model.read(tokens, resets, lanes.recall(), training=True)
    lanes.remember(state)
    return head.logits()


@recurrent
def test_states_of_a_run_are_those_of_the_contiguous_text(lane_corpus: Corpus, model: str) -> None:
    """Over steps, with every weight as it is: the lanes against the ring read by `step`."""
    config = tiny(lane_corpus.directory, "run", model=model, lanes=True, dropout=0.0, batch_size=4)
    made = build(model, lane_corpus.vocabulary.size, dropout=0.0)
    strategy = tf.distribute.get_strategy()
    lanes = LaneState(strategy, made, 4)
    state, num_resets = made.initial_state(4), 0
    feed = training_feed(strategy, lane_corpus, config, start_step=0)
    for (tokens, resets), _ in feed.take(9):
        logits = read_on(lanes, made, tokens, resets)
        for place in range(config.seq_len):
            state = forgotten(state, resets.numpy()[:, place])
            expected, state = made.step(tokens[:, place], state)
            np.testing.assert_allclose(logits[:, place], expected, atol=1e-5)
        num_resets += int(tf.reduce_sum(tf.cast(resets, tf.int32)))
    assert num_resets > 9
    lanes.collect()
    for one, other in zip(lanes.saved, flat(state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_states_go_into_a_checkpoint_and_back() -> None:
    made = build("lstm", 11, dropout=0.0)
    strategy = tf.distribute.get_strategy()
    first, second = (LaneState(strategy, made, 4) for _ in range(2))
    tokens = tf.constant(np.random.default_rng(0).integers(11, size=(4, 5)), tf.int32)
    none = tf.zeros([4, 5], tf.bool)
    read_on(first, made, tokens, none)
    first.collect()
    assert [variable.shape.as_list() for variable in first.saved] == [[4, 16]] * 4
    assert all(np.abs(variable).max() > 0 for variable in first.saved)
    for one, other in zip(first.saved, second.saved, strict=True):
        other.assign(one)
    second.spread()
    one, other = (read_on(lanes, made, tokens, none) for lanes in (first, second))
    np.testing.assert_array_equal(one, other)


@recurrent
def test_stopped_and_resumed_is_straight_bit_for_bit(
    lane_corpus: Corpus, tmp_path: Path, model: str
) -> None:
    options = {"lanes": True, "model": model, "layers": 1}
    train(tiny(lane_corpus.directory, tmp_path / "run", steps=5, **options), quiet=True)
    resumed = train(tiny(lane_corpus.directory, tmp_path / "run", **options), quiet=True)
    straight = train(tiny(lane_corpus.directory, tmp_path / "one", **options), quiet=True)
    assert resumed.start_step == 5
    first, second = (checkpoint_arrays(r.checkpoint) for r in (resumed, straight))
    states = [name for name in first if name.startswith("lanes/")]
    expected = {"lstm": [(8, 16), (8, 16)], "gru": [(8, 16)], "mingru": [(8, 3, 16), (8, 16)]}
    assert sorted(first[name].shape for name in states) == expected[model]
    assert all(np.abs(first[name]).max() > 0 for name in states)
    assert_same_bits(first, second)


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("jit", ["on", "off"])
@recurrent
def test_lanes_in_halves_are_those_of_the_whole_batch(
    lane_corpus: Corpus, model: str, jit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"model": model, "jit": jit, "dropout": 0.0, "batch_size": 32}
    config = tiny(lane_corpus.directory, "run", lanes=True, **options)

    def trained() -> tuple[Assembly, float]:
        keras.utils.set_random_seed(1)
        made = assemble(config, lane_corpus.vocabulary.size)
        with compiling(made.runner.step, config):
            feed = iter(training_feed(made.strategy, lane_corpus, config, start_step=0))
        loss = made.runner.run_steps(feed, tf.constant(5)).loss
        assert made.lanes is not None
        made.lanes.collect()
        return made, float(loss)

    halves, loss = trained()
    monkeypatch.setattr("trainer.steps.assembly.has_halves", lambda _: False)
    whole, expected = trained()
    assert [one.runner.step.recipe.halves for one in (halves, whole)] == [True, False]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert halves.lanes is not None
    assert whole.lanes is not None
    for one, other in zip(halves.lanes.saved, whole.lanes.saved, strict=True):
        assert np.abs(other).reshape(32, -1).max(axis=1).min() > 0
        np.testing.assert_allclose(one, other, atol=2e-4, err_msg=one.name)
    if jit == "on":
        assert halves.runner.step.part.experimental_get_tracing_count() == 1


def test_a_run_learns_evaluates_and_generates(lane_corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"lanes": True, "learning_rate": 1e-2, "eval_every": 100}
    result = train(tiny(lane_corpus.directory, tmp_path, steps=100, **options), quiet=True)
    assert result.evaluation is not None
    assert result.evaluation.loss < 2.8
    assert evaluate(tmp_path).evaluation == result.evaluation
    assert len("".join(generate(tmp_path, tokens=7))) == 7
    with pytest.raises(UserError, match="`lanes`: the run has True, now False"):
        train(tiny(lane_corpus.directory, tmp_path, **{**options, "lanes": False}), quiet=True)


def test_lanes_change_what_is_trained_and_jit_does_not(lane_corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dropout": 0.0, "layers": 1, "eval_every": 12, "sample_tokens": 0}
    lanes, compiled, windows, half = (
        train(tiny(lane_corpus.directory, tmp_path / name, **options, **changes), quiet=True)
        for name, changes in [
            ("lanes", {"lanes": True}),
            ("compiled", {"lanes": True, "jit": "on"}),
            ("windows", {}),
            ("bfloat16", {"lanes": True, "precision": "bfloat16"}),
        ]
    )
    weights, others = (checkpoint_arrays(run.checkpoint) for run in (lanes, half))
    assert any(not np.array_equal(weights[name], others[name]) for name in weights)
    assert lanes.loss == pytest.approx(half.loss, rel=2e-2)
    assert lanes.loss == pytest.approx(compiled.loss, rel=1e-4)
    assert lanes.evaluation.loss == pytest.approx(compiled.evaluation.loss, rel=1e-4)
    assert lanes.evaluation.loss != pytest.approx(windows.evaluation.loss, rel=1e-3)
    assert lanes.loss != pytest.approx(windows.loss, rel=1e-4)


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.loop import train
train(tiny(*sys.argv[1:], steps=8, lanes=True, strategy="mirrored", dropout=0.0,
           layers=1, eval_every=2, sample_tokens=0), quiet=True)
"""


def test_two_replicas_carry_on_what_one_does_and_the_other_way(
    lane_corpus: Corpus, tmp_path: Path
) -> None:
    """One replica makes the first 3 steps, two the next 5, one the last 4; with evaluations."""
    options: dict[str, Any] = {"lanes": True, "dropout": 0.0, "layers": 1}
    options |= {"eval_every": 2, "sample_tokens": 0}
    train(tiny(lane_corpus.directory, tmp_path / "both", steps=3, **options), quiet=True)
    run_child(TWO_REPLICAS, lane_corpus.directory, str(tmp_path / "both"))
    both = train(tiny(lane_corpus.directory, tmp_path / "both", **options), quiet=True)
    one = train(tiny(lane_corpus.directory, tmp_path / "one", **options), quiet=True)
    assert both.start_step == 8
    assert both.loss == pytest.approx(one.loss, rel=1e-5)
    first, second = (checkpoint_arrays(result.checkpoint) for result in (one, both))
    for name in first:
        if name.startswith("lanes/"):
            np.testing.assert_allclose(second[name], first[name], atol=1e-3, err_msg=name)
    measured, expected = (
        {row["step"]: row["loss"] for row in read_metrics(run) if row["kind"] == "validation"}
        for run in (both.run, one.run)
    )
    assert expected.keys() >= {2, 4, 6, 8, 10, 12}
    for step, loss in expected.items():
        assert measured[step] == pytest.approx(loss, rel=1e-5), step
