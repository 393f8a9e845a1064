"""HParams: TensorBoard has a row for a run, with its options and its best figure."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    list_session_groups,
    metadata,
    plugin_data_pb2,
)
from training import tiny

from pipeline import Corpus
from trainer.loop import train
from trainer.reports.hparams import changed_options, session_bytes
from trainer.reports.metrics import read_metrics


def rows(logdir: Path) -> dict[str, Any]:
    """The rows of the page, as TensorBoard's own plugin gives them: run -> session."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_RUNNING]
    asked = api_pb2.ListSessionGroupsRequest(slice_size=10, allowed_statuses=statuses)
    groups = list_session_groups.Handler(RequestContext(), context, "", asked).run().session_groups
    return {session.name: (group, session) for group in groups for session in group.sessions}


def test_tensorboard_has_a_row_of_options_and_best_figures(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    for name, units in (("small", 8), ("large", 24)):
        changes = {"units": units, "eval_every": 3, "sample_tokens": 0, "learning_rate": 0.5}
        train(tiny(char_corpus.directory, tmp_path / name, **changes, steps=9), quiet=True)
        # A start that goes on, whose best figure is of both.
        train(tiny(char_corpus.directory, tmp_path / name, **changes, steps=12), quiet=True)
    found = rows(tmp_path)
    assert found.keys() == {"small/events", "large/events"}
    for name, units in (("small", 8), ("large", 24)):
        group, session = found[f"{name}/events"]
        options = dict(group.hparams.items())
        assert options["units"].number_value == units
        assert options["learning_rate"].number_value == 0.5
        assert options["corpus"].string_value == str(char_corpus.directory)
        assert not {"output", "model", "seed"} & options.keys()
        metrics = {
            (value.name.group, value.name.tag): (value.training_step, value.value)
            for value in session.metric_values
        }
        validations = [
            entry for entry in read_metrics(tmp_path / name) if entry["kind"] == "validation"
        ]
        best = min(entry["bits_per_byte"] for entry in validations)
        assert metrics["", "best_bits_per_byte"] == (12, pytest.approx(best))
        last = validations[-1]["loss"]
        assert metrics["validation", "loss"] == (12, pytest.approx(last))


@pytest.mark.parametrize("length", [0, 90, 100, 110, 130, 16_300, 16_400, 70_000])
def test_the_message_is_the_one_of_tensorboard(length: int) -> None:
    """Of every length of its length."""
    options = {"text": "x" * length, "number": 3, "rate": 0.25, "on": True}
    content = session_bytes(options, started=12.5)
    expected = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION)
    expected.session_start_info.start_time_secs = 12.5
    for name, value in options.items():
        kind = {str: "string_value", bool: "bool_value"}.get(type(value), "number_value")
        setattr(expected.session_start_info.hparams[name], kind, value)
    assert plugin_data_pb2.HParamsPluginData.FromString(content) == expected
    assert metadata.parse_session_start_info_plugin_data(content) == expected.session_start_info


def test_options_that_are_no_numbers_are_as_they_are_typed() -> None:
    config = tiny("c", "o", sample_temperatures=(0.5, 1.0), sample_tokens=200, log_every=50)
    options = changed_options(config)
    assert options["sample_temperatures"] == "0.5,1.0"
    assert options["corpus"] == "c"
    assert not {"output", "sample_tokens", "log_every"} & options.keys()
