"""trainer.models.custom: a user's own model trains, resumes, generates; what cannot is named."""

import os
import random
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import own_models
import pytest
import tensorflow as tf
from corpora import write
from training import ROOT, assert_same_bits, checkpoint_arrays, run_child, tiny

from pipeline import Corpus, UserError
from trainer.evaluation.evaluate import evaluate
from trainer.generation.sampler import generate
from trainer.loop import train
from trainer.models import build_model
from trainer.models.custom import CustomModel
from trainer.steps.optimization import Optimizer
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe

SIZE = 11
OWN = ("own_models:recurrent", "own_models:functional")


def make(model: str, **changes: Any) -> CustomModel:
    keras.utils.set_random_seed(1)
    config = tiny("corpus", "run", model=model, **{"seq_len": 5, **changes})
    built = build_model(config, SIZE, use_cudnn=False)
    assert isinstance(built, CustomModel)
    return built


@pytest.mark.parametrize("model", OWN)
def test_a_step_gives_the_logits_of_the_last_tokens(model: str) -> None:
    """Before there are `seq_len` tokens, those of all; then those of the newest window."""
    made = make(model)
    tokens = np.random.default_rng(0).integers(SIZE, size=(3, 12)).astype(np.int32)
    state = made.initial_state(3)
    for place in range(12):
        logits, state = made.step(tf.constant(tokens[:, place]), state)
        start = max(0, place - 4)
        window = np.zeros([3, 5], np.int32)
        window[:, : place + 1 - start] = tokens[:, start : place + 1]
        expected = made(window)[:, place - start]
        np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_with_targets_last_tokens_stand_at_the_end_of_the_window() -> None:
    made = make("own_models:recurrent", targets="last")
    state = made.initial_state(1)
    for count in range(1, 8):
        logits, state = made.step(tf.constant([count]), state)
        window = np.array([[*[0] * 5, *range(1, count + 1)][-5:]], np.int32)
        np.testing.assert_allclose(logits, made(window), atol=1e-6)


class PlainSGD(Optimizer, keras.optimizers.SGD):
    """Moves by the gradient alone: no rounding decides on the size of a step."""


@pytest.mark.parametrize("targets", ["sequence", "last"])
@pytest.mark.parametrize("model", ["own_models:original", "own_models:mixture"])
def test_probabilities_are_trained_on_as_by_fit(model: str, targets: str) -> None:
    """Also where they are rounded to 0: Keras passes a softmax by, and clips what is none."""
    made = make(model, outputs="probabilities", targets=targets)
    for weight in made.trainable_variables:
        weight.assign(weight * 15)
    tokens = np.random.default_rng(0).integers(SIZE, size=(4, 5)).astype(np.int32)
    probabilities = made.network(tokens).numpy()
    labels = probabilities.argmin(axis=-1).astype(np.int32)
    assert probabilities.min() < 1e-7
    np.testing.assert_allclose(tf.nn.softmax(made(tokens)), probabilities, atol=1e-5)

    twin = keras.models.clone_model(made.network)
    twin.set_weights(made.network.get_weights())
    twin.compile(
        keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", jit_compile=False
    )
    expected = twin.fit(tokens, labels, batch_size=4, epochs=3, shuffle=False, verbose=0)

    recipe = StepRecipe(batch_size=4, tokens_per_row=labels[0].size)
    step = ReplicaStep(tf.distribute.get_strategy(), made, PlainSGD(0.1), recipe)
    runner = StepRunner(step)
    batches = iter(tf.data.Dataset.from_tensors((tokens, labels)).repeat())
    losses = [float(runner.run_steps(batches, tf.constant(1)).loss) for _ in range(3)]
    np.testing.assert_allclose(losses, expected.history["loss"], rtol=1e-5)
    assert losses[2] < losses[0]
    for ours, theirs in zip(made.network.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_options_reach_the_function() -> None:
    counts = [
        make("own_models:recurrent", **changes).count_params()
        for changes in ({}, {"units": 9}, {"layers": 1}, {"embedding_dim": 3})
    ]
    assert len(set(counts)) == 4


def test_a_run_learns_resumes_evaluates_and_generates(char_corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": OWN[0], "learning_rate": 1e-2, "eval_every": 60}
    train(tiny(char_corpus.directory, tmp_path / "run", steps=30, **options), quiet=True)
    resumed = train(tiny(char_corpus.directory, tmp_path / "run", steps=60, **options), quiet=True)
    straight = train(tiny(char_corpus.directory, tmp_path / "one", steps=60, **options), quiet=True)
    assert resumed.start_step == 30
    first, second = (checkpoint_arrays(r.checkpoint) for r in (resumed, straight))
    assert_same_bits(first, second)
    assert resumed.evaluation is not None
    assert resumed.evaluation.loss < 3  # untrained: about ln(27) = 3.3
    assert evaluate(tmp_path / "run", allow_code=True).evaluation == resumed.evaluation
    options = {"tokens": 40, "allow_code": True}
    texts = ["".join(generate(tmp_path / "run", seed=seed, **options)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    with pytest.raises(UserError, match="`model`: the run has 'own_models:recurrent', now 'own_m"):
        train(tiny(char_corpus.directory, tmp_path / "run", steps=70, model=OWN[1]), quiet=True)


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.loop import train
corpus, output, model = sys.argv[1:]
result = train(
    tiny(corpus, output, model=model, strategy="mirrored", dropout=0.0, eval_every=12), quiet=True
)
print(result.loss, result.evaluation.loss)
"""


@pytest.mark.parametrize("model", ["own_models:penalised", "own_models:normalised"])
def test_two_replicas_train_what_one_does(model: str, char_corpus: Corpus, tmp_path: Path) -> None:
    printed = run_child(TWO_REPLICAS, char_corpus.directory, str(tmp_path / "two"), model)
    options = {"model": model, "dropout": 0.0, "eval_every": 12}
    result = train(tiny(char_corpus.directory, tmp_path / "one", **options), quiet=True)
    assert result.evaluation is not None
    expected = [result.loss, result.evaluation.loss]
    assert [float(loss) for loss in printed.split()] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("no_module:f", {}, "the module no_module cannot be imported (No module named 'no_module'"),
        ("own_models:nothing", {}, "own_models.py must have a function nothing, got none"),
        ("own_models:not_a_function", {}, "a function not_a_function, got builtins.int"),
        ("own_models:no_model", {}, "must return a keras.Model, got tensorflow."),
        (
            "own_models:too_wide",
            {},
            "for tokens of shape [2, 5] and --targets sequence the model must give logits of "
            "shape [batch, seq_len, vocabulary size] = [2, 5, 11], got [2, 5, 12] float32",
        ),
        (
            "own_models:functional",
            {"targets": "last"},
            "--targets last the model must give logits of shape [batch, vocabulary size] = [2, 11]",
        ),
        ("own_models:of_floats", {}, "does not take tokens of shape [batch, seq_len] = [2, 5]"),
        (
            "own_models:recurrent",
            {"precision": "bfloat16"},
            "does not compute in `precision` bfloat16: none of its layers does; build them with "
            "dtype=config.dtype_policy, or leave --precision out",
        ),
        ("own_models:bidirectional", {}, "the model's logits depend on later tokens"),
        ("own_models:softmax", {}, "the model must give logits, got probabilities (every row is"),
        ("own_models:softmax", {"targets": "last"}, "take them with --outputs probabilities, or"),
        (
            "own_models:functional",
            {"outputs": "probabilities"},
            "with `outputs` probabilities every row that the model gives must be at least 0 and "
            "sum to 1, got values from -",
        ),
        (
            "own_models:bidirectional_softmax",
            {"outputs": "probabilities"},
            "the model's logits depend on later tokens",
        ),
        ("own_models:softmax", {"precision": "float16"}, "got probabilities"),
        ("own_models:softmax", {"precision": "bfloat16"}, "got probabilities"),
        (
            "own_models:stateful",
            {"targets": "last"},
            "is stateful, but windows are shuffled: its state would be of another text",
        ),
        (
            "own_models:rounding",
            {},
            "training would never change own/inner/embeddings, for no gradient comes to it",
        ),
        ("own_models:idle", {}, "training would never change own/hard/idle, for no gradient comes"),
        ("own_models:weightless", {}, "must have weights to be trained, got none"),
        ("own_models:no_config", {}, "the model cannot be made again from its options, which an"),
        ("own_models:local", {}, "and decorate it with @keras.saving.register_keras_"),
    ],
)
def test_what_cannot_work_is_named(model: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        make(model, **changes)
    assert str(error.value).startswith(f"`model` {model}")
    assert message in str(error.value)


def test_a_bidirectional_model_may_predict_what_is_after_the_window() -> None:
    made = make("own_models:bidirectional", targets="last")
    assert made(np.zeros([3, 5], np.int32)).shape == (3, SIZE)


def test_checks_leave_what_is_random_as_it_was() -> None:
    """The checks of dropout's seeds, statistics and the seeds that initializers draw."""
    made = make("own_models:recurrent")
    seeds = [variable.numpy() for variable in made.variables if "seed_generator" in variable.path]
    drawn = random.random()
    keras.utils.set_random_seed(1)
    config = tiny("corpus", "run", model=OWN[0], seq_len=5)
    network = own_models.recurrent(SIZE, config)
    network(np.zeros([2, 5], np.int32))
    others = [one.numpy() for one in network.variables if "seed_generator" in one.path]
    assert len(seeds) > 0
    np.testing.assert_array_equal(seeds, others)
    assert drawn == random.random()


IN_A_DIRECTORY = """
import os, sys
sys.path = [path for path in sys.path if path not in ("", os.getcwd())]
from training import tiny
from trainer.models import build_model
print(build_model(tiny("corpus", "run", model="mine:build"), 11, use_cudnn=False).count_params())
"""


def test_a_module_in_the_current_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mine.py", (ROOT / "tests/own_models.py").read_text() + "\nbuild = recurrent")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    assert int(run_child(IN_A_DIRECTORY)) > 0


def test_the_example_of_the_docs_runs(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/training.md").read_text()
    (code,) = re.findall(r"```python\n(# mine\.py.*?)```", page, re.DOTALL)
    write(tmp_path / "mine.py", code)
    monkeypatch.chdir(tmp_path)
    config = tiny(char_corpus.directory, tmp_path / "run", model="mine:build", steps=4)
    assert train(config, quiet=True).loss is not None
    assert len("".join(generate(tmp_path / "run", tokens=5, allow_code=True))) == 5
