"""transformer: the cache, the mask, rotations, its weights."""

import numpy as np
import pytest
import tensorflow as tf
from modelling import SIZE, TOKENS, make, step_through

from trainer.models.transformer import (
    Block,
    Transformer,
    TransformerArchitecture,
    rotate,
    swiglu_width,
)


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


def test_rotation_leaves_products_to_the_distance() -> None:
    queries, keys = np.random.default_rng(2).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)

    def product(query_position: int, key_position: int) -> float:
        query = rotate(tf.constant(queries), tf.constant([query_position]))
        return float(tf.reduce_sum(query * rotate(tf.constant(keys), tf.constant([key_position]))))

    assert product(5, 2) == pytest.approx(product(103, 100), abs=1e-4)
    assert product(5, 2) != pytest.approx(product(5, 3), abs=1e-2)
    assert product(0, 0) == pytest.approx(float((queries * keys).sum()), abs=1e-6)


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
