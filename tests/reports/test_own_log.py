"""A log of a user's own: what it gets, when, and what becomes of its errors."""

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import own_logs
import pytest
from training import ROOT, tiny

from pipeline import Corpus, OptionError, UserError
from trainer.config import TrainConfig
from trainer.loop import train
from trainer.reports.metrics import read_metrics
from trainer.reports.own_log import OwnLog


@pytest.fixture(autouse=True)
def calls() -> list[Any]:
    own_logs.calls.clear()
    return own_logs.calls


def test_it_gets_the_options_once_and_every_figure_of_the_metrics(
    char_corpus: Corpus, tmp_path: Path, calls: list[Any]
) -> None:
    config = tiny(
        char_corpus.directory, tmp_path, log_to="own_logs:keep", eval_every=6, sample_tokens=0
    )
    train(config, quiet=True)
    options, *logged = calls
    assert options == config
    expected = []
    for entry in read_metrics(tmp_path):
        kind, step = entry.pop("kind"), entry.pop("step")
        expected.append((step, {f"{kind}/{name}": value for name, value in entry.items()}))
    assert [step for step, _ in logged] == [4, 6, 8, 12, 12]
    assert logged == expected
    assert all(type(value) is float for _, values in logged for value in values.values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_logs:absent", "own_logs.py must have a function absent, got none"),
        ("no_module:log", "the module no_module cannot be imported"),
        ("own_logs:fails", "the function failed (ValueError: no key)"),
        ("own_logs:nothing", "must return what can be called with a step and figures, got"),
    ],
)
def test_what_cannot_work_ends_the_start(
    char_corpus: Corpus, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError) as error:
        train(tiny(char_corpus.directory, tmp_path / "run", log_to=name), quiet=True)
    assert str(error.value).startswith(f"`log_to` {name}")
    assert message in str(error.value)


def test_a_name_of_another_form_is_refused() -> None:
    with pytest.raises(OptionError, match=r"`log_to` must be of the form MODULE:FUNCTION, got 'x'"):
        TrainConfig(corpus="c", output="o", log_to="x")


def test_an_error_while_training_is_said_once_until_it_works_again() -> None:
    said: list[str] = []
    log = OwnLog(tiny("c", "o", log_to="own_logs:fails_at_odd_tens"), said.append)
    for step in (9, 10, 11, 20, 30, 31):
        log("train", step, {"loss": 1})
    assert said == [
        f"--log_to own_logs:fails_at_odd_tens failed at step {step} (OSError: no network); "
        "training goes on, and metrics.jsonl has all figures"
        for step in (10, 30)
    ]


def test_a_failing_log_changes_nothing_of_the_run(
    char_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(char_corpus.directory, tmp_path / "1", log_to="own_logs:always_fails")
    failing = train(config, quiet=True)
    assert capsys.readouterr().err.count("warning: --log_to own_logs:always_fails failed") == 1
    plain = train(tiny(char_corpus.directory, tmp_path / "2"), quiet=True)
    assert failing.loss == plain.loss


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_the_examples_of_the_docs_hand_everything_on(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """With a stand-in for the package, which takes what the real one documents."""
    page = (ROOT / "docs/training.md").read_text()
    (code,) = re.findall(rf"```python\n(# my_{package}\.py.*?)```", page, re.DOTALL)
    logged: list[Any] = []

    def log(values: dict[str, float], *, step: int) -> None:
        logged.append((step, values))

    def take(options: dict[str, Any]) -> None:
        logged.append(json.loads(json.dumps(options)))

    def init(*, project: str, config: dict[str, Any]) -> Any:
        take(config)
        return types.SimpleNamespace(log=log)

    module = types.ModuleType(package)
    vars(module).update(start_run=lambda: None, log_params=take, log_metrics=log, init=init)
    monkeypatch.setitem(sys.modules, package, module)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    config = tiny("c", "o")
    namespace["log"](config)(7, {"train/loss": 1.5})
    options, figures_of_step = logged
    assert options["units"] == config.units
    assert figures_of_step == (7, {"train/loss": 1.5})
