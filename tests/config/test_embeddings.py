"""embeddings: rules."""

from typing import Any

import pytest
from options import config_of, error_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_embeddings_steps": 3}, "(random vectors are not worth keeping), got 3; leave"),
        ({"freeze_embeddings_steps": -2}, "`freeze_embeddings_steps` must be an integer of at"),
        ({"pretrained_embeddings": ""}, "`pretrained_embeddings` must be a path, got ''"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_vectors_of_a_file_may_be_frozen_for_ever() -> None:
    config = config_of(pretrained_embeddings="a.txt", freeze_embeddings_steps=-1)
    assert config.freeze_embeddings_steps == -1
