"""terminal and progress_line: what stands on the line, at every width."""

import contextlib
import dataclasses
import io
import itertools
import os
import pty
import re
import subprocess
import sys

import pytest
from training import ROOT, tiny

from pipeline.layout.manifest import Shard, Split
from trainer.reports.meter import Meter, TrainingReport, num_evaluations_left
from trainer.reports.progress_line import Field, fitted, progress_fields, whole
from trainer.reports.terminal import Progress
from trainer.steps.runner import StepMetrics

REPORT = TrainingReport(
    step=12_000,
    tokens=1,
    seconds=1.0,
    loss=1.23456,
    bits_per_byte=1.78123,
    tokens_per_second=53_012.3,
    input_wait=0.0034,
    learning_rate=0.0012,
    gradient_norm=0.5,
    skipped_steps=0,
    memory_bytes=873_000_000,
    gpu_memory_bytes=None,
    seconds_left=754.0,
)


def line(width: int, **changes: object) -> str:
    report = dataclasses.replace(REPORT, **changes)  # type: ignore[arg-type]
    return fitted(progress_fields(report, num_steps=20_000, learning_rate=True), width)


def test_the_whole_line() -> None:
    fields = progress_fields(REPORT, num_steps=20_000, learning_rate=False)
    assert whole(fields) == (
        "step 12000/20000  loss 1.2346  1.781 bits/byte  53,012 tokens/s  input wait 0.3%  "
        "873 MB  13 min left"
    )
    on_gpu = dataclasses.replace(REPORT, gpu_memory_bytes=1_230_000_000)
    fields = progress_fields(on_gpu, num_steps=20_000, learning_rate=True)
    assert whole(fields).endswith("873 MB  GPU 1.23 GB  lr 0.0012  13 min left")


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
    assert fitted(fields, 24) == "memory 1 MB  loss 1.2345"
    assert fitted(fields, 23) == fitted(fields, 14) == "1 MB  loss 1.2"
    assert fitted(fields, 13) == fitted(fields, 0) == "loss 1.2"


def test_elsewhere_than_on_a_terminal_it_is_a_line_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for quiet in (False, True):
        progress = Progress(num_steps=20_000, start_step=0, quiet=quiet)
        progress.update(REPORT, learning_rate=False)
        progress.message("a message")
        progress.close()
    out, err = capsys.readouterr()
    fields = progress_fields(REPORT, num_steps=20_000, learning_rate=False)
    assert (out, err) == ("a message\n", whole(fields) + "\n")


TERMINAL = """
import fcntl, struct, sys, termios
from test_progress import REPORT, WIDTHS
from trainer.reports.terminal import Progress
for width in WIDTHS:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    print(f"width {width}", flush=True)
    if width == WIDTHS[0]:
        progress = Progress(num_steps=20_000, start_step=0)
    progress.update(REPORT, learning_rate=True)
    progress.message("a message")
progress.close()
"""
WIDTHS = (40, 80, 120, 200)


def test_on_a_terminal_no_drawing_is_wider_than_it() -> None:
    """A terminal that is made wider between two reports."""
    leader, follower = pty.openpty()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL],
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


def test_the_meter_means_over_steps_and_rates_over_time() -> None:
    shard = Shard(
        file="x",
        num_tokens=50,
        num_records=1,
        num_bytes=1,
        sha256="",
        num_text_bytes=100,
        pieces=(),
    )
    config = tiny("c", "r", batch_size=4, seq_len=8, steps=20, eval_every=6)
    split = Split(shards=(shard,), num_documents=1)
    meter = Meter(config, split, start_step=2, start_seconds=100.0)
    meter.evaluation_seconds = 7.0
    meter.add(StepMetrics(4.0, -1, 1.0, 1, 0.25), 1, seconds=1.0)
    meter.add(StepMetrics(1.0, -1, 2.0, 2, 0.25), 2, seconds=4.0)
    report = meter.report(learning_rate=0.0020000000949949026)
    assert (report.step, report.tokens, report.seconds) == (5, 5 * 32, 105.0)
    assert report.loss == 2.0
    assert report.bits_per_byte == pytest.approx(2.0 / 0.693147 * 50 / 100, rel=1e-5)
    assert report.tokens_per_second == 3 * 32 / 5.0
    assert report.input_wait == 0.1
    assert report.learning_rate == 0.002
    assert report.gradient_norm == pytest.approx(5 / 3)
    assert report.skipped_steps == 3
    assert 50e6 < report.memory_bytes < 50e9
    assert report.gpu_memory_bytes is None
    # 15 steps at 5/3 s, and the evaluations after steps 6, 12, 18 and 20.
    assert report.seconds_left == pytest.approx(25.0 + 4 * 7.0)

    meter.add(StepMetrics(3.0, -1, 1.0, 0, 0.0), 1, seconds=2.0)
    report = meter.report(learning_rate=0.1)
    assert (report.step, report.loss, report.input_wait) == (6, 3.0, 0.0)
    assert report.skipped_steps == 0
    assert report.tokens_per_second == 16.0
    assert meter.seconds == 107.0


def test_the_evaluations_to_come_are_counted() -> None:
    for eval_every, steps in itertools.product((0, 1, 3, 4, 12, 50), (12, 13)):
        config = tiny("c", "r", eval_every=eval_every, steps=steps)
        for step in range(1, steps + 1):
            due = [
                later
                for later in range(step, steps + 1)
                if eval_every and (later % eval_every == 0 or later == steps)
            ]
            assert num_evaluations_left(config, step) == len(due)
