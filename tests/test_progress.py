"""The progress bar of bytes, and the clock."""

import os
import sys
import termios
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


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
@pytest.mark.parametrize("columns", [0, 60])
def test_a_terminal_that_does_not_tell_its_width_has_bars(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Its size is 0 under `docker exec -t` and the like, where a run seemed to hang."""
    monkeypatch.setenv("COLUMNS", "70")
    outer, inner = os.openpty()
    termios.tcsetwinsize(inner, (0 if columns == 0 else 24, columns))
    with os.fdopen(inner, "w") as terminal:
        bar = progress.Bar(desc="writing", total=100, file=terminal, dynamic_ncols=True)
        bar.update(50)
        bar.refresh()
        bar.close()
        print("end", file=terminal, flush=True)
        shown = ""
        while "end" not in shown:
            shown += os.read(outer, 10_000).decode()
    os.close(outer)
    drawn = shown.partition("end")[0].rstrip().split("\r")[-1]
    assert "writing:  50%" in drawn
    assert len(drawn) == (columns or 70) - 1
