"""Errors of a user, and what one of TensorFlow's says."""

import pytest

from pipeline.errors import OptionError, UserError, first_line


def test_they_are_value_errors() -> None:
    assert issubclass(OptionError, UserError)
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too short"), "too short"),
        (ValueError("\n a shape\nand its graph\n"), "a shape"),
        (ValueError("{{function_node __wrapped__X}} no shape [Op:X]"), "no shape"),
        (ValueError("{{a}} keeps {{b}} and [Op:Y] within"), "keeps {{b}} and [Op:Y] within"),
        (ValueError(""), "ValueError"),
    ],
)
def test_the_first_line_is_what_an_error_says(error: Exception, said: str) -> None:
    assert first_line(error) == said
