"""optimization: rules, and what follows from other options."""

from typing import Any

import pytest
from options import config_of, error_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0, got 0.0"),
        ({"clip_norm": -1.0}, "`clip_norm` must be at least 0 (0 turns clipping off), got -1.0"),
        ({"optimizer": "sgd"}, "`optimizer` must be one of adam, adamw, muon, rmsprop, got 'sgd'"),
        ({"schedule": "linear"}, "`schedule` must be one of constant, cosine, wsd, got 'linear'"),
        ({"warmup_steps": -1}, "`warmup_steps` must be an integer of at least 0, got -1"),
        (
            {"warmup_steps": 50, "schedule": "cosine", "steps": 50},
            "`warmup_steps` must be below the step at which the decay ends (50), got 50; change",
        ),
        (
            {"decay_steps": 9},
            "`decay_steps` must not be given with `schedule` 'constant' (it has no effect), got 9; "
            "leave --decay_steps out or use --schedule cosine",
        ),
        (
            {"decay_steps": 0, "schedule": "cosine"},
            "`decay_steps` must be an integer of at least 1, got 0",
        ),
        (
            {"min_learning_rate_ratio": 0.1},
            "`min_learning_rate_ratio` must not be given with `schedule` 'constant' (it has no",
        ),
        (
            {"min_learning_rate_ratio": 1.5, "schedule": "cosine"},
            "`min_learning_rate_ratio` must be from 0 to 1, got 1.5",
        ),
        (
            {"min_learning_rate_ratio": 0.0, "schedule": "cosine", "decay_steps": 9, "steps": 10},
            "`steps` must be at most `decay_steps` (9) with `min_learning_rate_ratio` 0 (later "
            "steps would change nothing), got 10; change --decay_steps or",
        ),
        (
            {"weight_decay": 0.1},
            "`weight_decay` must not be given with `optimizer` 'adam' (it has no effect), got 0.1; "
            "leave --weight_decay out or use --optimizer adamw",
        ),
        (
            {"weight_decay": -0.1, "optimizer": "adamw"},
            "`weight_decay` must be at least 0, got -0.1",
        ),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be at least 0 and below 1, got 1.0"),
        ({"early_stopping": -1}, "`early_stopping` must be an integer of at least 0, got -1"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_what_is_not_given_follows_from_the_others() -> None:
    constant, cosine = config_of(), config_of(schedule="cosine", steps=50)
    assert (constant.decay_end, constant.lowest_learning_rate_ratio) == (None, None)
    assert (cosine.decay_end, cosine.lowest_learning_rate_ratio) == (50, 0.1)
    assert config_of(schedule="cosine", steps=50, decay_steps=60).decay_end == 60
    stable = config_of(schedule="wsd", steps=50)
    assert (cosine.decay_begin, stable.decay_begin) == (None, 40)
    assert config_of(schedule="wsd", steps=50, decay_fraction=0.5).decay_begin == 25
    assert config_of(schedule="wsd", steps=50, warmup_steps=45).decay_begin == 45
    assert stable.identity() == config_of(schedule="wsd", steps=50, decay_fraction=0.2).identity()
    assert config_of(optimizer="muon").weight_decay_rate == 0.01
    assert (constant.weight_decay_rate, config_of(optimizer="adamw").weight_decay_rate) == (
        None,
        0.01,
    )
    assert cosine.resolved_optimization() == {
        "decay_steps": 50,
        "decay_fraction": None,
        "min_learning_rate_ratio": 0.1,
        "weight_decay": None,
    }
