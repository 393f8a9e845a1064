"""Errors of a user, and what one of TensorFlow's says."""

import errno

import pytest

from pipeline.errors import OptionError, UserError, first_line, os_error_text


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/a"),
            "/a: no space left on device; free",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/a"),
            "/a: read-only file system; name a pl",
        ),
        (OSError(errno.ENOENT, "No such file or directory", "/a"), "/a: no such file or directory"),
        (
            OSError(errno.EIO, "Input/output error"),
            "input/output error; see to the disk or the net",
        ),
        (OSError("something of a library's"), "something of a library's"),
    ],
)
def test_an_error_of_the_system_says_where_what_and_the_remedy(error: OSError, said: str) -> None:
    assert os_error_text(error).startswith(said)
