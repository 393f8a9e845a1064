"""transformer: the cache, the mask, its weights."""

import numpy as np
import pytest
import tensorflow as tf
from modelling import SIZE, TOKENS, make, step_through

from trainer.exporting.plain_keras import plain_model
from trainer.models.transformer import (
    Block,
    Transformer,
    TransformerArchitecture,
    swiglu_width,
)
from trainer.steps.cross_entropy import summed_nats

ROLES = ("queries", "keys", "values")


@pytest.mark.parametrize("layers", [1, 2])
def test_the_cache_slides_as_the_mask_does(layers: int) -> None:
    """Beyond the context, `step` still gives what `call` gives."""
    tokens = np.random.default_rng(1).integers(SIZE, size=(2, 17)).astype(np.int32)
    for context in (1, 2, 5, 16, 17, 20):
        made = make("transformer", seq_len=context, layers=layers)
        np.testing.assert_allclose(step_through(made, tokens), made(tokens), atol=2e-5)


def test_a_block_reaches_as_far_as_its_context() -> None:
    made = make("transformer", seq_len=3, layers=1)
    whole = made(TOKENS).numpy()
    changed = TOKENS.copy()
    changed[:, 1] = (changed[:, 1] + 1) % SIZE
    moved = np.abs(made(changed).numpy() - whole).max(axis=(0, 2)) > 1e-6
    np.testing.assert_array_equal(moved, [False, True, True, True, False, False, False])


def test_the_transformer_has_the_weights_of_its_recipe() -> None:
    units, hidden = 24, swiglu_width(24)
    assert (hidden, swiglu_width(256)) == (64, 688)
    model = Transformer(
        TransformerArchitecture(vocabulary_size=SIZE, num_layers=2, units=units, heads=3, context=4)
    )
    model.build()
    block = 3 * units * units + units * units + 3 * units * hidden + 2 * units
    assert sum(int(np.prod(w.shape)) for w in model.trainable_variables) == (
        SIZE * units + 2 * block + units
    )
    assert all(isinstance(one, Block) for one in model.blocks)


def test_heads_change_the_transformer() -> None:
    logits = [make("transformer", heads=heads)(TOKENS).numpy() for heads in (1, 2, 3)]
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[1], logits[2])


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recomputing_trains_the_same(precision: str, jit: bool) -> None:
    """With dropout: what is computed anew drops the same."""
    losses, gradients = [], []
    for recompute in (False, True):
        made = make("transformer", layers=2, precision=precision, recompute=recompute)

        @tf.function(jit_compile=jit)
        def train(model: Transformer = made) -> tuple[tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                loss = summed_nats(tf.constant(TOKENS), model.head(tf.constant(TOKENS), True))
            weights = [variable.value for variable in model.trainable_variables]
            return loss, [tf.convert_to_tensor(one) for one in tape.gradient(loss, weights)]

        for _ in range(2):  # with another mask each
            loss, found = train()
            losses.append(float(loss))
            gradients.append(found)
    assert losses[:2] == losses[2:]
    assert losses[0] != losses[1]
    for before, after in zip(gradients[:2], gradients[2:], strict=True):
        for one, other in zip(before, after, strict=True):
            # XLA rounds to bfloat16 elsewhere in what it computes anew.
            tolerance = (0.03 if jit and precision == "bfloat16" else 1e-5) * np.abs(one).max()
            np.testing.assert_allclose(one, other, atol=tolerance)


def test_recomputing_keeps_the_inputs_of_blocks_alone() -> None:
    """Of what the way forwards makes, little more is read by what comes after the loss."""
    counts = []
    for recompute in (False, True):
        made = make("transformer", layers=1, dropout=0.0, recompute=recompute)

        @tf.function
        def train(model: Transformer = made) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = summed_nats(tf.constant(TOKENS), model.head(tf.constant(TOKENS), True))
            return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

        operations = train.get_concrete_function().graph.get_operations()
        counts.append(sum(one.type == "Softmax" for one in operations))
    assert counts == [2, 3]  # of the attention and of the loss


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("recompute", [False, True])
def test_the_gradients_are_those_of_plain_keras_layers(recompute: bool) -> None:
    """Of the model that an export rebuilds of Keras's own layers; tied embeddings are two there."""
    made = make("transformer", layers=2, dropout=0.0, heads=3, recompute=recompute)
    plain = plain_model(made)
    labels = tf.constant(np.roll(TOKENS, 1, axis=1))
    with tf.GradientTape() as tape:
        loss = summed_nats(labels, made.head(tf.constant(TOKENS), training=True))
    ours = tape.gradient(loss, [variable.value for variable in made.trainable_variables])
    with tf.GradientTape() as tape:
        logits = plain(TOKENS, training=True)
        expected = tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        )
    theirs = tape.gradient(expected, [variable.value for variable in plain.trainable_variables])
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    by_name = {
        variable.path: tf.convert_to_tensor(one)
        for variable, one in zip(plain.trainable_variables, theirs, strict=True)
    }
    found = {
        variable.path.removeprefix("transformer/"): tf.convert_to_tensor(one)
        for variable, one in zip(made.trainable_variables, ours, strict=True)
    }
    units = made.architecture.units

    def together(name: str) -> tf.Tensor:
        if name == "embedding/embeddings":
            return by_name[name] + tf.transpose(by_name["logits/kernel"])
        name = name.replace("/", "_", 1) if name.startswith("block") else name
        if "project_in" in name:
            parts = [by_name[name.replace("project_in", role)] for role in ROLES]
            return tf.concat([tf.reshape(part, [units, units]) for part in parts], axis=1)
        return by_name[name]

    assert len(found) == 2 * 6 + 2
    for name, one in found.items():
        other = tf.reshape(together(name), one.shape)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)
