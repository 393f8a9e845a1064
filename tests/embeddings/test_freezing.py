"""freezing: the first steps move nothing, then the moments go on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.embeddings.freezing import Freeze
from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


def frozen_runner(*, jit: bool) -> StepRunner:
    keras.utils.set_random_seed(1)
    model = RecurrentModel(
        RecurrentArchitecture(cell="gru", vocabulary_size=9, num_layers=1, units=8, embedding_dim=4)
    )
    model.build()
    return StepRunner(
        ReplicaStep(
            tf.distribute.get_strategy(),
            model,
            Adam(1e-2),
            StepRecipe(batch_size=4, tokens_per_row=5, clip_norm=0.5, jit=jit),
            freeze=Freeze(model.embedding.embeddings, 2),
        )
    )


def test_clipping_does_not_count_what_is_frozen() -> None:
    """The norm of the others alone; once it is free, that of all."""
    gradients = [tf.fill(shape, 1.0) for shape in ([9, 4], [3])]
    weight, other = keras.Variable(gradients[0]), keras.Variable(gradients[1])
    freeze = Freeze(weight, 2)
    for step, norm in [(0, 3), (1, 3), (2, 39), (3, 39)]:
        counted = freeze.counted(gradients, [weight, other], tf.constant(step))
        assert float(tf.linalg.global_norm(counted)) == pytest.approx(norm**0.5)


@pytest.mark.parametrize("jit", [False, True])
def test_a_frozen_start_is_traced_once_and_moments_go_on(jit: bool) -> None:
    tokens = np.random.default_rng(0).integers(9, size=(4, 6)).astype(np.int32)
    data = tf.data.Dataset.from_tensors((tokens[:, :-1], tokens[:, 1:])).repeat()
    runner = frozen_runner(jit=jit)
    weight = runner.step.model.embedding.embeddings
    before, iterator = weight.numpy(), iter(data)
    runner.run_steps(iterator, tf.constant(1))
    runner.run_steps(iterator, tf.constant(1))
    np.testing.assert_array_equal(weight.numpy(), before)
    moments = [v for v in runner.step.optimizer.variables if v.shape == weight.shape]
    assert len(moments) == 2
    assert all(np.abs(moment.numpy()).max() > 0 for moment in moments)
    runner.run_steps(iterator, tf.constant(1))
    assert np.abs(weight.numpy() - before).max() > 1e-3
    assert runner.run_steps.experimental_get_tracing_count() == 1
