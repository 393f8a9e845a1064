"""Files of a run of whomever: each loader takes one, or says in one sentence what is wrong."""

import itertools
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from mutations import mutated_bytes, mutated_json
from training import tiny, write_metrics

from pipeline import UserError
from trainer.config.saved import run_config, training_of
from trainer.reports.curves import curve
from trainer.reports.metrics import METRICS_FILE, MetricsFile, read_metrics

COUNTS = [100, pytest.param(2000, marks=pytest.mark.campaign)]


def variants(whole: bytes, content: Any, count: int) -> Iterator[bytes]:
    yield from mutated_bytes(whole, 1, count)
    for changed in mutated_json(content, 2, count):
        yield json.dumps(changed).encode() + b"\n"
    yield from (b"null\n", b"[]\n", b"3\n", b"", b'"x"\n', b"[" * 10**6 + b"\n", b"9" * 5000)


def as_toml(values: Any) -> bytes | None:
    """Values as TOML; nothing for what TOML has not, as `None` in a list."""
    try:
        return tomli_w.dumps(values).encode()
    except (AttributeError, TypeError, UnicodeEncodeError):
        return None


@pytest.mark.parametrize("count", COUNTS)
def test_options(tmp_path: Path, count: int) -> None:
    path, whole = tmp_path / "run.toml", tiny("corpus", "run").to_toml().encode()
    changed = (
        toml
        for each in mutated_json(tomllib.loads(whole.decode()), 2, count)
        if (toml := as_toml(each))
    )
    odd = (b"null\n", b"[]\n", b"x = 3\n", b"", b"x = " + b"[" * 10**6, b"steps = " + b"9" * 5000)
    for data in itertools.chain(mutated_bytes(whole, 1, count), changed, odd):
        path.write_bytes(data)
        message = ""
        try:
            config = run_config(tmp_path)
            json.dumps(config.identity())
            assert config.events_directory
            training_of(str(tmp_path))
        except UserError as error:
            message = str(error)
        assert not message or "run.toml: not the settings of a run of this version" in message


@pytest.mark.parametrize("count", COUNTS)
def test_metrics(tmp_path: Path, count: int) -> None:
    entry = write_metrics(tmp_path / "run", height=1.0)[0]
    path = tmp_path / "run" / METRICS_FILE
    whole = path.read_bytes()
    for data in variants(whole[:1000], entry, count):
        path.write_bytes(data)
        message = ""
        try:
            curve(read_metrics(tmp_path / "run"), None, "seconds")
            MetricsFile(tmp_path / "run", start_step=50).close()
        except UserError as error:
            message = str(error)
        if message:
            assert f"{METRICS_FILE}, line " in message
            assert path.read_bytes() == data
