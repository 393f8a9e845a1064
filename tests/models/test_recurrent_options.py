"""What an LSTM or GRU may have besides: weights dropped, ties, norms; what each changes."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from modelling import SIZE, TOKENS, make, step_through

from pipeline.errors import OptionError

OPTIONS: tuple[dict[str, Any], ...] = (
    {"recurrent_dropout": 0.5},
    {"embedding_dropout": 0.5},
    {"tied": True, "embedding_dim": 12},
    {"layer_norm": True},
)
EVERY = [(model, options) for model in ("lstm", "gru") for options in OPTIONS]
every_option = pytest.mark.parametrize(("model", "options"), EVERY)


def gradients_of(model: Any, function: Any) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(function(tf.constant(TOKENS))))
    weights = [weight.value for weight in model.trainable_variables]
    return [tf.convert_to_tensor(one).numpy() for one in tape.gradient(loss, weights)]


@every_option
def test_it_changes_training_and_steps_follow(model: str, options: dict[str, Any]) -> None:
    settings = {"layers": 2, "dropout": 0.0, **options}
    made, plain = make(model, **settings), make(model, layers=2, dropout=0.0)
    first, second = made(TOKENS, training=True).numpy(), made(TOKENS, training=True).numpy()
    drops = any(name.endswith("dropout") for name in options)
    assert np.allclose(first, second) != drops
    assert np.allclose(made(TOKENS), plain(TOKENS)) == drops
    np.testing.assert_allclose(step_through(made), made(TOKENS), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(make(model, **settings)(TOKENS, training=True), first)


@pytest.mark.parametrize(
    ("model", "options"), [(m, o) for m, o in EVERY if not any("dropout" in name for name in o)]
)
def test_the_fast_reading_on_cpus_is_that_of_keras_layers(
    model: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(model, layers=2, dropout=0.0, **options)
    fast = gradients_of(made, made)
    monkeypatch.setattr("trainer.models.recurrent.on_cpu", lambda: False)
    for one, other in zip(fast, gradients_of(made, made), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_dropped_weights_between_states_are_the_same_at_all_places(model: str) -> None:
    """A training step is that of a model whose recurrent kernels have the mask's zeros."""
    made = make(model, layers=1, dropout=0.0, recurrent_dropout=0.5)
    drop, cell = made.recurrent_dropouts[0], made.recurrent[0].cell
    kernel = cell.recurrent_kernel.numpy()
    state = drop.seed_generator.state.numpy()
    dropped = drop(tf.constant(kernel), training=True).numpy()
    assert 0.3 < (dropped == 0).mean() < 0.7
    np.testing.assert_allclose(dropped[dropped != 0], 2 * kernel[dropped != 0])
    drop.seed_generator.state.assign(state)
    found = made(TOKENS, training=True)
    cell.recurrent_kernel.assign(dropped)
    np.testing.assert_allclose(made(TOKENS), found, atol=1e-5)


def test_dropped_ids_are_zero_wherever_they_stand() -> None:
    made = make("gru", layers=1, dropout=0.0, embedding_dropout=0.5)
    vectors = made._embeddings(True).numpy()
    own = made.embedding.embeddings.numpy()
    is_dropped = (vectors == 0).all(axis=1)
    assert 0 < is_dropped.sum() < SIZE
    np.testing.assert_allclose(vectors[~is_dropped], 2 * own[~is_dropped])


def test_ties_save_the_weights_of_the_logits() -> None:
    tied = make("lstm", tied=True, embedding_dim=None)
    plain = make("lstm", embedding_dim=12)
    assert plain.count_params() - tied.count_params() == 12 * SIZE + SIZE
    with pytest.raises(
        OptionError, match=r"`embedding_dim` must be the `units` \(12\) with `tied`"
    ):
        make("lstm", tied=True)


@pytest.mark.parametrize("option", ["recurrent_dropout", "embedding_dropout", "tied", "layer_norm"])
def test_what_has_no_effect_is_refused(option: str) -> None:
    value: Any = True if option in ("tied", "layer_norm") else 0.1
    for model in ("transformer", "mingru"):
        with pytest.raises(
            OptionError, match=f"`{option}` must not be given with `model`"
        ) as error:
            make(model, **{option: value})
        assert str(error.value).endswith(f"leave --{option} out or use --model lstm or gru")
