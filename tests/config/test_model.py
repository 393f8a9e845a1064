"""model: rules, and what follows from other options."""

from typing import Any

import pytest
from options import config_of, error_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "`layers` must be an integer of at least 1, got 0"),
        ({"units": 2.5}, "`units` must be an integer of at least 1, got 2.5"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1, got 1.0"),
        ({"dropout": float("nan")}, "`dropout` must be at least 0 and below 1, got nan"),
        (
            {"precision": "float8"},
            "`precision` must be one of float32, bfloat16, float16, got 'float8'",
        ),
        (
            {"model": "rnn"},
            "`model` must be one of lstm, gru, mingru, transformer, or MODULE:FUNCTION,",
        ),
        ({"model": "a.b:"}, "or MODULE:FUNCTION, got 'a.b:'"),
        ({"model": "a b:c"}, "or MODULE:FUNCTION, got 'a b:c'"),
        ({"heads": 2}, "`heads` must not be given with `model` 'lstm' (it has no attention), got"),
        (
            {"outputs": "probabilities"},
            "`outputs` must not be given with `model` 'lstm' (it gives logits), got probabilities; "
            "leave --outputs out or use --model MODULE:FUNCTION",
        ),
        ({"heads": 0}, "`heads` must be an integer of at least 1, got 0"),
        ({"embedding_dim": 0}, "`embedding_dim` must be an integer of at least 1, got 0"),
        (
            {"model": "transformer", "units": 100, "heads": 4},
            "`units` must be a multiple of twice the `heads` (4) of a Transformer, got 100; "
            "change --units or --heads",
        ),
        (
            {"model": "transformer", "embedding_dim": 64},
            "`embedding_dim` must be the `units` (256) with `model` 'transformer', got 64; leave",
        ),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_sizes_that_are_not_given_follow_from_the_others() -> None:
    assert (config_of().embedding_size, config_of(embedding_dim=5).embedding_size) == (64, 5)
    transformer = config_of(model="transformer", units=384)
    assert (transformer.embedding_size, transformer.num_heads) == (384, 6)
    assert config_of(model="transformer", units=32).num_heads == 1
    policies = [config_of(precision=one).dtype_policy for one in ("float32", "bfloat16")]
    assert policies == ["float32", "mixed_bfloat16"]


def test_a_function_of_the_users_is_a_model() -> None:
    assert config_of(model="package.module:function", heads=3).is_custom_model
    assert not config_of(model="gru").is_custom_model
