"""trainer: its public names, whatever is imported first, and the example of its docstring."""

import importlib
import itertools
import pkgutil
import textwrap
from pathlib import Path

import corpora
import pytest
from training import run_child

import trainer


def test_every_public_name_is_there_and_no_module_hides_it() -> None:
    for module in pkgutil.walk_packages(trainer.__path__, "trainer."):
        importlib.import_module(module.name)
    assert {name: getattr(trainer, name).__name__ for name in trainer.__all__} == {
        name: name for name in trainer.__all__
    }
    assert set(trainer.__all__) <= set(dir(trainer))
    with pytest.raises(AttributeError, match="'trainer' has no attribute 'nothing'"):
        trainer.nothing  # noqa: B018


ORDER = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import trainer
print(trainer.export.__name__, trainer.evaluate.__name__, callable(trainer.generate))
"""
ROOMS = ("trainer.exporting.directory", "trainer.evaluation.evaluate", "trainer.generation")


@pytest.mark.parametrize("order", list(itertools.permutations(ROOMS))[::3])
def test_names_are_functions_in_any_order_of_imports(order: tuple[str, ...]) -> None:
    assert run_child(ORDER, *order) == "export evaluate True\n"


def test_importing_it_imports_no_tensorflow() -> None:
    code = "import sys, trainer; trainer.TrainConfig; print('tensorflow' in sys.modules)"
    assert run_child(code) == "False\n"


def test_its_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.make(tmp_path, corpora.text(20_000) + "Once", vocabulary="char")
    (tmp_path / "corpus").rename(tmp_path / "CORPUS")
    monkeypatch.chdir(tmp_path)
    assert trainer.__doc__ is not None
    _, start, rest = trainer.__doc__.partition("    from trainer import")
    code = textwrap.dedent(start + rest.partition("\n\nImporting")[0])
    assert "steps=100" in code
    exec(code.replace("steps=100", "steps=5"), {})
    assert " bits/character\n" in capsys.readouterr().out
    assert (tmp_path / "EXPORT" / "saved_model.pb").exists()
