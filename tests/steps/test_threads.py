"""threads: an operation gets one thread where others keep the few cores busy, else TensorFlow's."""

from typing import Any

import pytest
from training import tiny

from trainer.steps.threads import operation_threads

HALVED: dict[str, Any] = {"batch_size": 32}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),  # XLA compiles it
        ({"jit": "off"}, 1),
        ({"precision": "bfloat16"}, 1),
        ({"precision": "bfloat16", "jit": "on"}, None),
        ({"precision": "bfloat16", "batch_size": 30}, None),  # nothing runs beside it
        ({"precision": "bfloat16", "lanes": True}, 1),
        ({"lanes": True}, None),
        ({"precision": "bfloat16", "accumulate_steps": 2}, None),
        ({"precision": "bfloat16", "strategy": "mirrored"}, None),
        ({"model": "gru"}, 1),
        ({"model": "gru", "lanes": True}, 1),
        ({"model": "gru", "batch_size": 15}, None),
        ({"model": "gru", "jit": "on"}, None),
        ({"model": "mingru"}, 1),
        ({"model": "mingru", "jit": "on"}, None),
        ({"model": "mingru", "batch_size": 15}, None),
        ({"model": "transformer"}, 1),
        ({"model": "transformer", "recompute": True}, 1),
        ({"model": "transformer", "jit": "on"}, None),
        ({"model": "transformer", "accumulate_steps": 2}, None),
    ],
)
def test_one_thread_where_operations_run_beside_each_other(
    changes: dict[str, Any], expected: int | None
) -> None:
    assert operation_threads(tiny("corpus", "run", **HALVED | changes), num_cores=2) == expected


@pytest.mark.parametrize(("cores", "expected"), [(1, None), (2, 1), (3, 1), (4, None)])
def test_with_many_cores_it_is_tensorflows_matter(cores: int, expected: int | None) -> None:
    config = tiny("corpus", "run", model="gru")
    assert operation_threads(config, num_cores=cores) == expected


def test_who_sets_tensorflows_own_variable_settles_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    assert operation_threads(tiny("corpus", "run", model="gru"), num_cores=2) is None
