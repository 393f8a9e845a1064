"""The progress bar of bytes, and the clock."""

import sys
import threading

import pytest

from pipeline import progress
from pipeline.progress import can_show_bars, progress_bar, progress_clock


def test_it_shows_bytes_of_all_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("writing shards", 4_000_000, True) as bar:
        bar.update(1_000_000)
        bar.refresh()
    shown = capsys.readouterr().err
    assert "writing shards:  25%" in shown
    assert "1.00M/4.00M" in shown


def test_where_it_is_not_wanted_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("writing shards", 4_000_000, False) as bar:
        bar.update(1_000_000)
    assert capsys.readouterr() == ("", "")


def test_it_has_no_thread_of_its_own() -> None:
    """Workers are forked where there are none beside the first."""
    before = threading.active_count()
    with progress_bar("writing shards", 10, True):
        assert threading.active_count() == before


def test_a_clock_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_clock("learning", True) as clock:
        clock.start_t -= 61
        clock.refresh()
    assert "learning: 01:01" in capsys.readouterr().err
    with progress_clock("learning", False) as clock:
        clock.refresh()
    assert capsys.readouterr() == ("", "")


def test_bars_are_for_terminals_and_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda shown=is_terminal: shown)
        assert can_show_bars() == is_terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    notebook = type("tqdm_notebook", (), {})  # as `tqdm.auto` takes it in a notebook
    monkeypatch.setattr(progress, "Bar", type("Bar", (notebook,), {}))
    assert can_show_bars()
