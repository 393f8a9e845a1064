"""data: rules."""

from typing import Any

import numpy as np
import pytest
from options import config_of, error_of

from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 3}, "`stride` must not be given with `lanes` (a lane leaves nothing out"),
        ({"targets": "last"}, "`targets` must be 'sequence' with `lanes` (every token is"),
    ],
)
def test_options_that_lanes_cannot_have(changes: dict[str, Any], message: str) -> None:
    assert message in error_of(lanes=True, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": True}, "`batch_size` must be an integer of at least 1, got True"),
        ({"seq_len": -1}, "`seq_len` must be an integer of at least 1, got -1"),
        ({"stride": 0}, "`stride` must be an integer of at least 1, got 0"),
        ({"seed": 2147483648}, "`seed` must be below 2**31, got 2147483648"),
        ({"targets": "first"}, "`targets` must be one of sequence, last, got 'first'"),
        ({"train_split": ""}, "`train_split` must not be empty, got ''"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_integers_of_numpy_become_those_of_python() -> None:
    config = config_of(seq_len=np.int64(16), stride=np.int32(3))
    assert (type(config.seq_len), type(config.stride)) == (int, int)
    assert (config.window_stride, config_of(seq_len=16).window_stride) == (3, 16)


def test_defaults_are_those_of_the_reader() -> None:
    config = config_of()
    assert (config.seq_len, config.batch_size) == (DEFAULT_SEQ_LEN, DEFAULT_BATCH_SIZE)
