"""Rendering of pages: jinja2's templates beside this module, with all that comes in escaped."""

import functools
import importlib.resources
import os
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.sizes import count_text
from pipeline.terminal import printable


def check_libraries() -> None:
    """Refuses to begin without what a page is made with.

    Raises:
        UserError: a library is missing.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "a page needs jinja2 and matplotlib; run: pip install 'textreel[report]'"
        ) from error


def write_page(template: str, values: Mapping[str, Any], output: str | os.PathLike[str]) -> int:
    """Writes a page; one that is there is replaced.

    Args:
        template: the name of the file.
        values: what it shows.
        output: where the page goes.

    Returns:
        The size of the page, in bytes.

    Raises:
        OSError: it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number_of": count_text, "printable": printable}
    page = environment.get_template(template).render(values).encode("utf-8", "backslashreplace")
    with whole_file(output) as file:
        file.write(page)
    return len(page)


@functools.cache
def _read(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
