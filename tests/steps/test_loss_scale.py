"""loss_scale: overflows, and runs that resume."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from stepping import batches, make_runner
from training import assert_same_bits, checkpoint_arrays, tiny

from pipeline import Corpus
from trainer.loop import train
from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.steps.loss_scale import LossScale
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner


def apply(scale: LossScale, optimizer: Adam, variable: tf.Variable, *gradients: float) -> None:
    for gradient in gradients:
        finite = tf.math.is_finite(gradient)
        scale.apply_if(finite, optimizer, [tf.constant([gradient])], [variable])


def test_a_step_that_overflows_changes_nothing_but_the_scale() -> None:
    variable, optimizer = tf.Variable([1.0]), Adam(0.1)
    optimizer.build([variable])
    scale = LossScale(initial=8.0, growth_steps=3)
    apply(scale, optimizer, variable, 1.0)
    before = [value.numpy() for value in (variable, *optimizer.variables)]
    apply(scale, optimizer, variable, float("inf"), float("nan"))
    for value, old in zip((variable, *optimizer.variables), before, strict=True):
        np.testing.assert_array_equal(value.numpy(), old)
    assert float(scale.value) == 2.0
    # Three finite steps in a row double it; those before the overflow do not count.
    seen = []
    for _ in range(7):
        apply(scale, optimizer, variable, 1.0)
        seen.append(float(scale.value))
    assert seen == [2, 2, 4, 4, 4, 8, 8]
    assert int(optimizer.iterations.numpy()) == 8


def half_runner(initial: float, *, jit: bool = False) -> StepRunner:
    model = RecurrentModel(
        RecurrentArchitecture(
            cell="lstm", vocabulary_size=9, num_layers=1, units=8, embedding_dim=4
        ),
        use_cudnn=False,
        dtype="mixed_float16",
    )
    model.build()
    optimizer = Adam(1e-2)
    optimizer.loss_scale = LossScale(initial=initial)
    return make_runner(model, optimizer=optimizer, jit=jit)


@pytest.mark.parametrize("jit", [False, True])
def test_too_large_a_scale_is_halved_until_steps_work(jit: bool) -> None:
    runner = half_runner(2.0**40, jit=jit)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    metrics = runner.run_steps(iter(dataset), tf.constant(100))
    assert int(metrics.bad_index) == -1
    skipped = int(metrics.num_skipped)
    assert 10 < skipped < 40
    assert runner.step.optimizer.loss_scale is not None
    assert float(runner.step.optimizer.loss_scale.value) == 2.0 ** (40 - skipped)
    assert int(runner.step.optimizer.iterations.numpy()) == 100 - skipped
    assert 0 < float(metrics.gradient_norm) < 10
    assert float(metrics.loss) < 2.1  # ln 9 = 2.2 untrained


def test_a_loss_that_is_not_finite_is_no_skipped_step() -> None:
    runner = half_runner(2.0**10)
    runner.step.model.logits.bias.assign([np.nan] * 9)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    assert int(runner.run_steps(iter(dataset), tf.constant(3)).bad_index) == 0


def test_a_half_precision_run_resumes_bit_for_bit_with_its_scale(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    options = {"precision": "float16", "layers": 1}
    corpus, evaluated = char_corpus.directory, {"eval_every": 6}
    train(tiny(corpus, tmp_path / "parts", steps=6, **options, **evaluated), quiet=True)
    parts = train(tiny(corpus, tmp_path / "parts", **options), quiet=True)
    whole = train(tiny(corpus, tmp_path / "whole", **options), quiet=True)
    first, second = checkpoint_arrays(parts.checkpoint), checkpoint_arrays(whole.checkpoint)
    assert_same_bits(first, second)
    scales = [value for name, value in first.items() if "loss_scale/value" in name]
    assert scales == [2.0**15]
