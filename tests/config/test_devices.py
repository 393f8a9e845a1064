"""devices: rules."""

from typing import Any

import pytest
from options import config_of, error_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({"startup_timeout": value}, f"`startup_timeout` must be a time such as 90s, {rule}")
            for value, rule in (("10", "10m or 2h, got '10'; change --st"), ("0s", ""), ("m", ""))
        ),
        ({"accumulate_steps": 0}, "`accumulate_steps` must be an integer of at least 1, got 0"),
        (
            {"strategy": "gpu"},
            "`strategy` must be one of auto, one_device, mirrored, multi_worker, tpu, got 'gpu'",
        ),
        (
            {"strategy": "tpu"},
            "`tpu` must name the TPU with `strategy` 'tpu', got None; give --tpu",
        ),
        ({"tpu": ""}, "`tpu` must name the TPU with `strategy` 'auto', got ''; give --tpu NAME"),
        (
            {"tpu": "x", "strategy": "mirrored"},
            "`tpu` must not be given with `strategy` 'mirrored', got 'x'; leave --tpu out or use",
        ),
        ({"tpu": "x", "jit": "on"}, "`jit` must not be 'on' on a TPU, where every step is"),
        (
            {"jit": "on", "strategy": "multi_worker"},
            "leave --jit out, or use --strategy one_device",
        ),
        ({"jit": "yes"}, "`jit` must be one of auto, off, on, got 'yes'"),
        ({"jit": "on", "strategy": "mirrored"}, "leave --jit out, or use --strategy one_device"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_a_tpu_trains_where_it_is_named() -> None:
    assert config_of(tpu="local").on_tpu
    assert config_of(strategy="tpu", tpu="name").on_tpu
    assert not config_of(strategy="mirrored").on_tpu
