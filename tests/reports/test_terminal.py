"""terminal: what stands on the line, at every width."""

import contextlib
import io
import itertools
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from training import ROOT, figures

from trainer.reports.terminal import Field, Progress, fitted_text, progress_fields, whole_text


def line(width: int, **changes: object) -> str:
    fields = progress_fields(figures(**changes), num_steps=20_000, learning_rate=True)
    return fitted_text(fields, width)


def test_the_whole_line() -> None:
    fields = progress_fields(figures(), num_steps=20_000, learning_rate=False)
    assert whole_text(fields) == (
        "step 12000/20000  loss 1.2346  1.781 bits/byte  53,012 tokens/s  input wait 0.3%  "
        "873 MB  13 min left"
    )
    on_gpu = figures(gpu_memory_bytes=1_230_000_000)
    fields = progress_fields(on_gpu, num_steps=20_000, learning_rate=True)
    assert whole_text(fields).endswith("873 MB  GPU 1.23 GB  lr 0.0012  13 min left")


def test_what_fits_at_usual_widths() -> None:
    assert line(119) == (
        "step 12000/20000  loss 1.2346  1.781 bits/byte  53,012 tokens/s  input wait 0.3%  "
        "873 MB  lr 0.0012  13 min left"
    )
    assert line(79) == (
        "12000/20000  loss 1.235  1.78 bits/B  53k tok/s  wait 0%  873 MB  13 min left"
    )
    assert line(60) == "12000/20000  loss 1.235  1.78 bits/B  53k tok/s  13 min left"
    assert line(1) == "12000/20000"


def test_no_line_is_wider_than_its_terminal() -> None:
    """And none says less than a narrower one."""
    rates = (12.0, 999.6, 53_012.0, 999_600.0, 123_456_789.0)
    gpus = (None, 79_000_000_000)
    for rate, gpu, left in itertools.product(rates, gpus, (0.1, 59.9, 3599.0, 1e6)):
        lines = [
            line(width, tokens_per_second=rate, gpu_memory_bytes=gpu, seconds_left=left)
            for width in range(11, 150)
        ]
        assert all(len(text) <= width for width, text in enumerate(lines, 11))
        counts = [len(text.split("  ")) for text in lines]
        assert counts == sorted(counts)


def test_a_shorter_text_is_taken_before_a_figure_goes() -> None:
    fields = [Field(1, "memory 1 MB", "1 MB"), Field(2, "loss 1.2345", "loss 1.2")]
    assert fitted_text(fields, 24) == "memory 1 MB  loss 1.2345"
    assert fitted_text(fields, 23) == fitted_text(fields, 14) == "1 MB  loss 1.2"
    assert fitted_text(fields, 13) == fitted_text(fields, 0) == "loss 1.2"


def test_elsewhere_than_on_a_terminal_it_is_a_line_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for quiet in (False, True):
        progress = Progress(num_steps=20_000, start_step=0, quiet=quiet)
        progress.update(figures(), learning_rate=False)
        progress.message("a message")
        progress.close()
    out, err = capsys.readouterr()
    fields = progress_fields(figures(), num_steps=20_000, learning_rate=False)
    assert (out, err) == ("a message\n", whole_text(fields) + "\n")


def test_no_escape_sequence_passes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(num_steps=9, start_step=0)
    progress.message("--- sample\n\x1b[2Jred\x07\u202e")
    progress.close()
    assert capsys.readouterr().out == "--- sample\n\\x1b[2Jred\\x07\\u202e\n"


TERMINAL = """
import fcntl, struct, sys, termios
from training import figures
from trainer.reports.terminal import Field, Progress, fitted_text, progress_fields, whole_text
for width in map(int, sys.argv[1:]):
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    print(f"width {width}", flush=True)
    if width == int(sys.argv[1]):
        progress = Progress(num_steps=20_000, start_step=0)
    progress.update(figures(), learning_rate=True)
    progress.message("a message")
progress.close()
"""
WIDTHS = (40, 80, 120, 200)


def test_on_a_terminal_no_drawing_is_wider_than_it() -> None:
    """A terminal that is made wider between two reports."""
    leader, follower = pty.openpty()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *map(str, WIDTHS)],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "PYTHONPATH": paths},
    ) as child:
        os.close(follower)
        shown = io.BytesIO()
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while block := os.read(leader, 4096):
                shown.write(block)
    os.close(leader)
    assert child.returncode == 0, shown.getvalue()
    # What TensorFlow says while it loads comes before the first.
    parts = shown.getvalue().decode().split("width ")[1:]
    assert len(parts) == len(WIDTHS)
    for width, part in zip(WIDTHS, parts, strict=True):
        drawings = [text for text in re.split(r"[\r\n]+|\x1b\[A", part) if text.strip()][1:]
        assert max(map(len, drawings)) <= width
        assert "a message" in drawings
        assert drawings[-1].startswith(line(width - 1))
        assert ("|" in drawings[-1]) == (width - len(line(width - 1)) >= 12)


@pytest.mark.parametrize(("seconds", "said"), [(0.0, ""), (0.3, "saving\n")])
def test_what_takes_long_is_said_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, said: str
) -> None:
    monkeypatch.setattr("trainer.reports.terminal._SLOW_SECONDS", 0.1)
    with Progress(num_steps=1, start_step=0).if_slow("saving"):
        time.sleep(seconds)
        assert capsys.readouterr().out == said
    assert capsys.readouterr().out == ""


def test_a_warning_is_said_where_all_else_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(num_steps=1, start_step=0, quiet=True)
    progress.warning("odd")
    progress.message("even")
    assert capsys.readouterr() == ("", "textreel: warning: odd\n")
