"""Structure of the code: what would make it harder to read is refused here, not in a review."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [ROOT / name for name in ("pipeline", "trainer", "textreel")]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES, MAX_MODULES, MAX_PARAMETERS = 350, 12, 8


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.FunctionDef)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_read_at_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_a_folder_is_seen_at_a_glance() -> None:
    modules = [path for path in MODULES if path.name != "__init__.py"]
    for folder, files in itertools.groupby(modules, key=lambda path: path.parent):
        assert len(list(files)) <= MAX_MODULES, folder


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_constructor_takes_few_parameters(path: Path) -> None:
    for function in functions(path):
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if function.name == "__init__":
            assert len(parameters) - 1 <= MAX_PARAMETERS, function.lineno


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    assert docstring.partition("\n")[0].rstrip(":").endswith((".", "?"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_self_has_its_own_type(path: Path) -> None:
    for function in functions(path):
        first = next(iter(function.args.args), None)
        assert first is None or first.arg != "self" or first.annotation is None, function.lineno


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_tests_are_typed(path: Path) -> None:
    for function in functions(path):
        arguments = [*function.args.args, *function.args.kwonlyargs]
        assert function.returns is not None or not function.name.startswith("test_"), function.name
        if function.name.startswith("test_"):
            untyped = [a.arg for a in arguments if a.annotation is None and a.arg != "self"]
            assert not untyped, function.name


def test_every_room_has_its_tests() -> None:
    """The folders of the tests are those of the packages."""
    rooms = {
        path.parent.relative_to(package) for package in PACKAGES for path in package.rglob("*.py")
    }
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*")}
    assert folders - {Path("integration")} <= rooms
    assert rooms <= folders
