"""lanes and `--lanes`: states go on, documents are forgotten, resuming, replicas."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from corpora import make, text
from test_multi_worker import Pair, single
from training import assert_same_bits, checkpoint_arrays, run_child, tiny

from pipeline import Corpus, UserError
from pipeline.errors import OptionError
from trainer.evaluation.assess import assess
from trainer.generation.sampler import generate
from trainer.loop import train
from trainer.models import LanguageModel, build_model
from trainer.run.checkpoint import newest_checkpoint
from trainer.steps.feed import training_feed
from trainer.steps.lanes import LaneState

recurrent = pytest.mark.parametrize("model", ["lstm", "gru"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Many documents, of 30 to 80 characters."""
    content = "\n".join(text(30 + 7 * (i % 8), seed=i).replace("\n", " ") for i in range(150))
    splits = {"train": 0.9, "validation": 0.1}
    return make(
        tmp_path_factory.mktemp("lanes"),
        content,
        vocabulary="char",
        document="line",
        splits=splits,
    )


def build(model: str, size: int, **changes: Any) -> LanguageModel:
    keras.utils.set_random_seed(1)
    return build_model(tiny("corpus", "run", model=model, **changes), size, use_cudnn=False)


def flat(state: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in tf.nest.flatten(state)]


@recurrent
def test_reading_windows_on_is_reading_token_by_token(model: str) -> None:
    """With resets anywhere, at the first place too: the oracle zeroes the state of the row."""
    made = build(model, 11, dropout=0.0)
    generator = np.random.default_rng(0)
    tokens = generator.integers(11, size=(3, 20)).astype(np.int32)
    resets = generator.random(size=(3, 20)) < 0.2
    assert resets[:, ::5].any()
    expected, state = [], made.initial_state(3)
    for place in range(20):
        keep = ~resets[:, place, np.newaxis]
        state = tf.nest.map_structure(lambda part, keep=keep: part * keep, state)
        logits, state = made.step(tf.constant(tokens[:, place]), state)
        expected.append(logits)
    found, carried = [], made.initial_state(3)
    for start in range(0, 20, 5):
        window = slice(start, start + 5)
        logits, carried = made.read(
            tf.constant(tokens[:, window]), tf.constant(resets[:, window]), carried, training=True
        )
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, 1), np.stack(expected, 1), atol=1e-5)
    for one, other in zip(flat(carried), flat(state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@recurrent
def test_nothing_before_a_reset_changes_what_is_after(model: str) -> None:
    made = build(model, 11)
    tokens = np.random.default_rng(0).integers(11, size=(1, 12)).astype(np.int32)
    resets = np.zeros([1, 12], bool)
    resets[0, 7] = True
    changed = tokens.copy()
    changed[0, 3] = (changed[0, 3] + 1) % 11
    (first, _), (second, _) = (
        made.read(tf.constant(x), tf.constant(resets), made.initial_state(1))
        for x in (tokens, changed)
    )
    moved = np.abs(first - second).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(moved, [3 <= place < 7 for place in range(12)])


@recurrent
def test_the_gradient_of_a_read_is_that_of_keras_own_layers(model: str) -> None:
    """From the initial state and without resets it is the same function as `call`."""
    made = build(model, 11, dropout=0.0)
    tokens = np.random.default_rng(0).integers(11, size=(3, 7)).astype(np.int32)
    gradients = []
    for read in (
        made,
        lambda x: made.read(x, tf.zeros([3, 7], tf.bool), made.initial_state(3), training=True)[0],
    ):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.math.sin(read(tf.constant(tokens))))
        weights = [variable.value for variable in made.trainable_variables]
        gradients.append([tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@recurrent
def test_states_of_a_run_are_those_of_the_contiguous_text(corpus: Corpus, model: str) -> None:
    """Over steps, with every weight as it is: the lanes against the ring read by `step`."""
    config = tiny(corpus.directory, "run", model=model, lanes=True, dropout=0.0, batch_size=4)
    made = build(model, corpus.vocabulary.size, dropout=0.0)
    strategy = tf.distribute.get_strategy()
    lanes = LaneState(strategy, made, 4)
    state, num_resets = made.initial_state(4), 0
    feed = training_feed(strategy, corpus, config, start_step=0)
    for (tokens, resets), _ in feed.take(9):
        logits = lanes.read(tokens, resets)
        for place in range(config.seq_len):
            keep = ~resets.numpy()[:, place, np.newaxis]
            state = tf.nest.map_structure(lambda part, keep=keep: part * keep, state)
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
    first.read(tokens, none)
    first.collect()
    assert [variable.shape.as_list() for variable in first.saved] == [[4, 16]] * 4
    assert all(np.abs(variable).max() > 0 for variable in first.saved)
    for one, other in zip(first.saved, second.saved, strict=True):
        other.assign(one)
    second.spread()
    np.testing.assert_array_equal(first.read(tokens, none), second.read(tokens, none))


@recurrent
def test_stopped_and_resumed_is_straight_bit_for_bit(
    corpus: Corpus, tmp_path: Path, model: str
) -> None:
    options = {"lanes": True, "model": model, "layers": 1}
    train(tiny(corpus.directory, tmp_path / "run", steps=5, **options), quiet=True)
    resumed = train(tiny(corpus.directory, tmp_path / "run", **options), quiet=True)
    straight = train(tiny(corpus.directory, tmp_path / "one", **options), quiet=True)
    assert resumed.start_step == 5
    first, second = (checkpoint_arrays(r.checkpoint) for r in (resumed, straight))
    states = [name for name in first if name.startswith("lanes/")]
    assert len(states) == (2 if model == "lstm" else 1)
    assert all(first[name].shape == (8, 16) and np.abs(first[name]).max() > 0 for name in states)
    assert_same_bits(first, second)


def test_a_run_learns_evaluates_and_generates(corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"lanes": True, "learning_rate": 1e-2, "eval_every": 100}
    result = train(tiny(corpus.directory, tmp_path, steps=100, **options), quiet=True)
    assert result.evaluation is not None
    assert result.evaluation.loss < 2.8
    assert assess(tmp_path).evaluation == result.evaluation
    assert len("".join(generate(tmp_path, tokens=7))) == 7
    with pytest.raises(UserError, match="`lanes`: the run has True, now False"):
        train(tiny(corpus.directory, tmp_path, **{**options, "lanes": False}), quiet=True)


def test_lanes_change_what_is_trained_and_jit_does_not(corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dropout": 0.0, "layers": 1}
    lanes, compiled, windows, half = (
        train(tiny(corpus.directory, tmp_path / name, **options, **changes), quiet=True)
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
    assert lanes.loss != pytest.approx(windows.loss, rel=1e-4)


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.loop import train
train(tiny(*sys.argv[1:], steps=8, lanes=True, strategy="mirrored", dropout=0.0,
           layers=1), quiet=True)
"""


def test_two_replicas_carry_on_what_one_does_and_the_other_way(
    corpus: Corpus, tmp_path: Path
) -> None:
    """One replica makes the first 3 steps, two the next 5, one the last 4."""
    options: dict[str, Any] = {"lanes": True, "dropout": 0.0, "layers": 1}
    train(tiny(corpus.directory, tmp_path / "both", steps=3, **options), quiet=True)
    run_child(TWO_REPLICAS, corpus.directory, str(tmp_path / "both"))
    both = train(tiny(corpus.directory, tmp_path / "both", **options), quiet=True)
    one = train(tiny(corpus.directory, tmp_path / "one", **options), quiet=True)
    assert both.start_step == 8
    assert both.loss == pytest.approx(one.loss, rel=1e-5)
    first, second = (checkpoint_arrays(result.checkpoint) for result in (one, both))
    for name in first:
        if name.startswith("lanes/"):
            np.testing.assert_allclose(second[name], first[name], atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 3}, "`stride` must not be given with `lanes` (a lane leaves nothing out"),
        ({"targets": "last"}, "`targets` must be 'sequence' with `lanes` (every token is"),
        ({"model": "transformer", "embedding_dim": None}, "`model` must be one of lstm, gru with"),
        ({"model": "own_models:recurrent"}, "got 'own_models:recurrent'; leave --lanes out"),
    ],
)
def test_options_that_lanes_cannot_have(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        tiny("corpus", "run", lanes=True, **changes)
    assert message in str(error.value)


def test_a_split_that_is_too_short_for_the_lanes(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="tokens for 8 lanes of 2000; use fewer lanes"):
        train(tiny(corpus.directory, tmp_path / "run", lanes=True, seq_len=2000), quiet=True)
    assert not (tmp_path / "run").exists()


def test_two_hosts_carry_on_what_one_does(corpus: Corpus, tmp_path: Path) -> None:
    """One process makes the first 8 steps, two the rest; each host gives its rows to a save."""
    run, flags = tmp_path / "both", ["--lanes", "--eval_every=0", "--precision=bfloat16"]
    options: dict[str, Any] = {"lanes": True, "precision": "bfloat16", "log_every": 8}
    train(single(corpus, run, steps=8, **options), quiet=True)
    for code, _, err in Pair(corpus, run, *flags, "--steps=16").end():
        assert code == 0, err
    one = train(single(corpus, tmp_path / "one", steps=16, **options), quiet=True)
    first, second = checkpoint_arrays(one.checkpoint), checkpoint_arrays(newest_checkpoint(run))
    states = [name for name in first if name.startswith("lanes/")]
    assert [first[name].shape for name in states] == [(8, 8), (8, 8)]
    for name in states:
        np.testing.assert_allclose(second[name], first[name], atol=2e-2, err_msg=name)
        assert np.abs(first[name]).max() > 0.05
