"""compiling: the halves are compiled before the first step, and nothing else happens."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from stepping import losses_of, make_runner
from training import tiny

from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.steps.compiling import compiling


def model_with_dropout() -> RecurrentModel:
    keras.utils.set_random_seed(1)
    model = RecurrentModel(
        RecurrentArchitecture(
            cell="lstm", vocabulary_size=9, num_layers=1, units=8, embedding_dim=4, dropout=0.5
        )
    )
    model.build()
    return model


def test_the_step_takes_what_was_compiled_and_trains_the_same() -> None:
    runners = [make_runner(model_with_dropout(), halves=True, jit=True) for _ in range(2)]
    compiled, other = runners
    before = [np.array(variable) for variable in compiled.step.model.variables]
    with compiling(compiled.step, tiny("c", "r", seq_len=5, batch_size=4)):
        pass
    for variable, value in zip(compiled.step.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    assert compiled.step.part.experimental_get_tracing_count() == 1
    assert losses_of(compiled, 2, 3) == losses_of(other, 2, 3)
    # Another trace would be compiled anew.
    assert compiled.step.part.experimental_get_tracing_count() == 1


def test_parts_draw_nothing_of_their_own() -> None:
    # Two that read and write one state would wait for each other: half the speed.
    part = make_runner(model_with_dropout(), halves=True, jit=True).step.part
    rows, seed = tf.zeros([2, 5], tf.int32), tf.zeros([2], tf.uint32)
    captured = part.get_concrete_function(rows, rows, (), [seed]).graph.variables
    assert len(captured) > 1
    assert not [one.name for one in captured if "seed" in one.name]


def test_dropout_is_the_same_compiled_or_not() -> None:
    compiled, other = [
        make_runner(model_with_dropout(), halves=True, jit=jit) for jit in (True, False)
    ]
    assert losses_of(compiled, 2, 3) == pytest.approx(losses_of(other, 2, 3), rel=1e-5)


@pytest.mark.parametrize("options", [{"halves": True}, {"jit": True}])
def test_other_steps_are_left_alone(options: dict[str, Any]) -> None:
    runner = make_runner(**options)
    with compiling(runner.step, tiny("c", "r", seq_len=5, batch_size=4)):
        pass
    assert isinstance(runner.step.train, type(runner.step.part))  # no function of TensorFlow's


def test_it_does_not_hide_why_a_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = make_runner(halves=True, jit=True)

    def fail(*_: Any) -> tf.Tensor:
        raise RuntimeError("no memory")

    monkeypatch.setattr(runner.step, "part", fail)
    with compiling(runner.step, tiny("c", "r", seq_len=5, batch_size=4)):
        pass
    with pytest.raises(RuntimeError, match="no memory"):
        losses_of(runner, 1)
