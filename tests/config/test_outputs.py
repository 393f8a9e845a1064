"""outputs: when a run is saved, and rules."""

from pathlib import Path
from typing import Any

import pytest
from options import config_of, error_of, parsed

from trainer.config import TrainConfig


@pytest.mark.parametrize(
    ("text", "steps", "seconds"),
    [("500", 500, None), ("90s", None, 90), ("10m", None, 600), ("1.5h", None, 5400)],
)
def test_saves_are_every_so_many_steps_or_so_much_time(
    text: str, steps: int | None, seconds: float | None, tmp_path: Path
) -> None:
    config = parsed(["--save_every", text])
    assert (config.save_steps, config.save_seconds) == (steps, seconds)
    (tmp_path / "run.toml").write_text(config.to_toml())
    assert TrainConfig.from_toml(tmp_path / "run.toml") == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": ""}, "`output` must be a path, got ''"),
        ({"output": None}, "`output` must be a path, got None"),
        ({"output": "hf://me/run"}, "`output` must be a directory, or a URI of a store that is "),
        ({"events": "gs:/bucket"}, "`events` must be a path or a URI, got gs:/bucket; write gs://"),
        ({"eval_every": -1}, "`eval_every` must be an integer of at least 0, got -1"),
        ({"save_every": 0}, "`save_every` must be an integer of at least 1 or a time such as 90s"),
        ({"save_every": True}, "`save_every` must be an integer of at least 1 or a time"),
        ({"save_every": "0m"}, "a time such as 90s, 10m or 2h, got '0m'; change --save_every"),
        ({"save_every": "10"}, "`save_every` must be an integer of at least 1 or a time"),
        ({"save_every": "10d"}, "`save_every` must be an integer of at least 1 or a time"),
        ({"sample_temperatures": ()}, "to generate no text, set `sample_tokens` to 0"),
        ({"sample_temperatures": (-1.0,)}, "`sample_temperatures` must be at least 0, got -1.0"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)


def test_paths_are_plain_ones() -> None:
    config = config_of(output=Path("there"), events="file:///logs", cache_dir="file:///cache")
    assert (config.output, config.events, config.cache_dir) == ("there", "/logs", "/cache")


def test_events_lie_in_the_run_unless_they_are_put_elsewhere() -> None:
    assert config_of().events_directory == "run/events"
    assert config_of(events="gs://bucket/logs").events_directory == "gs://bucket/logs"
