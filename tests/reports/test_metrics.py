"""metrics: entries as of one straight run, whatever was stopped and when."""

import json
import math
from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus, UserError
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.loop import train
from trainer.reports.metrics import METRICS_FILE, REMOTE_SECONDS, MetricsFile, read_metrics
from trainer.reports.reports import Reports
from trainer.run.checkpoint import newest_step


def entries(*steps: int, kind: str = "train") -> list[dict[str, object]]:
    return [{"kind": kind, "step": step, "loss": step / 8} for step in steps]


def write(run: Path | str, *steps: int, start_step: int = 0) -> None:
    file = MetricsFile(run, start_step=start_step)
    for entry in entries(*steps):
        file.add(entry)
    file.close()


@pytest.fixture(params=["", "disk://"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A run's directory, on the disk and behind a URI."""
    return f"{request.param}{tmp_path}"


def test_rows_come_back_in_order(run: str, tmp_path: Path) -> None:
    assert read_metrics(run) == []
    write(run, 10, 20, 30)
    assert read_metrics(run) == entries(10, 20, 30)
    lines = (tmp_path / METRICS_FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries(10, 20, 30)
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


@pytest.mark.parametrize("start_step", [0, 5, 10, 15, 20, 30, 40])
def test_going_on_cuts_off_the_rows_of_later_steps(run: str, start_step: int) -> None:
    write(run, 10, 20, 30)
    file = MetricsFile(run, start_step=start_step)
    kept = entries(*(step for step in (10, 20, 30) if step <= start_step))
    assert file.kept == kept
    assert read_metrics(run) == kept  # already now, not only at the first flush
    file.add(entries(50)[0])
    file.close()
    file.close()
    assert read_metrics(run) == kept + entries(50)


def test_half_a_line_at_the_end_is_no_row_and_goes(run: str, tmp_path: Path) -> None:
    write(run, 10, 20)
    path = tmp_path / METRICS_FILE
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        num_entries = whole[:length].count(b"\n")
        assert read_metrics(run) == entries(10, 20)[:num_entries]
        write(run, 30, start_step=20)
        assert read_metrics(run) == [*entries(10, 20)[:num_entries], *entries(30)]


def test_a_line_that_is_no_row_is_named(run: str, tmp_path: Path) -> None:
    write(run, 10)
    for bad in ("{}", "[]", "x", '{"kind": "train", "step": "1"}'):
        with (tmp_path / METRICS_FILE).open("a") as file:
            file.write(bad + "\n")
        for call in (lambda: read_metrics(run), lambda: MetricsFile(run, start_step=0)):
            with pytest.raises(UserError, match=rf"{METRICS_FILE}, line 2: no entry of metrics"):
                call()
        (tmp_path / METRICS_FILE).write_text(json.dumps(entries(10)[0]) + "\n")


def test_a_number_that_is_not_finite_is_null(run: str) -> None:
    file = MetricsFile(run, start_step=0)
    file.add({"kind": "train", "step": 1, "loss": math.inf, "gradient_norm": math.nan})
    file.close()
    assert read_metrics(run) == [{"kind": "train", "step": 1, "loss": None, "gradient_norm": None}]


def test_behind_a_uri_the_file_is_written_once_a_minute_unless_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("trainer.reports.metrics.time.monotonic", lambda: now)
    run = f"disk://{tmp_path}"
    file = MetricsFile(run, start_step=0)
    seen = []
    for step, seconds, at_once in [(1, 0, False), (2, 1, False), (3, 1, True), (4, 59, False)]:
        now += seconds
        file.add(entries(step)[0])
        file.flush(at_once=at_once)
        seen.append(len(read_metrics(run)))
    now += REMOTE_SECONDS
    file.flush(at_once=False)
    assert [*seen, len(read_metrics(run))] == [1, 1, 3, 3, 4]


def test_on_a_disk_every_flush_shows(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, start_step=0)
    for step in (1, 2):
        file.add(entries(step)[0])
        file.flush(at_once=False)
        assert read_metrics(tmp_path) == entries(*range(1, step + 1))


def test_a_run_that_goes_on_from_an_older_step_has_the_rows_of_a_straight_one(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    """Rows of steps 8 and 9 are there, the newest checkpoint is that of step 6."""
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    options = {"log_every": 3, "save_every": 6, "eval_every": 4, "sample_tokens": 0}
    train(tiny(char_corpus.directory, killed, steps=6, **options), quiet=True)
    with (killed / METRICS_FILE).open("a") as file:
        for kind, step in (("validation", 8), ("train", 9)):
            file.write(json.dumps(entries(step, kind=kind)[0]) + "\n")
        file.write('{"kind": "validation", "st')
    resumed = train(tiny(char_corpus.directory, killed, **options), quiet=True)
    train(tiny(char_corpus.directory, straight, **options), quiet=True)
    assert resumed.start_step == 6

    measured = ("seconds", "tokens_per_second", "input_wait", "memory_bytes")
    found = {}
    for run in (killed, straight):
        found[run.name] = [
            {name: value for name, value in entry.items() if name not in measured}
            for entry in read_metrics(run)
        ]
    extra = found["killed"].pop(3)  # its first start ended at step 6, and measured there
    assert (extra["kind"], extra["step"]) == ("validation", 6)
    assert found["killed"] == found["straight"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"kind": "tr',
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"kind": "train"}',
        b'{"kind": 3, "step": 3}',
        b'{"kind": "train", "step": true}',
        b'{"kind": "train", "step": 3, "loss": "x"}',
        b"9" * 5000,
    ],
)
def test_a_damaged_line_is_named_and_nothing_changes(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, 10, 20, 30)
    file = tmp_path / METRICS_FILE
    lines = file.read_bytes().split(b"\n")
    lines[1] = line
    file.write_bytes(b"\n".join(lines))
    before = file.read_bytes()
    message = rf"{METRICS_FILE}, line 2: no entry of metrics \(.*mend or remove that line"
    for use in (lambda: read_metrics(tmp_path), lambda: MetricsFile(tmp_path, start_step=20)):
        with pytest.raises(UserError, match=message):
            use()
    assert file.read_bytes() == before
    del lines[1]
    file.write_bytes(b"\n".join(lines) + line[:1000])  # half a last line, of any bytes, is cut
    kept = MetricsFile(tmp_path, start_step=40)
    kept.close()
    assert kept.kept == read_metrics(tmp_path) == entries(10, 30)


def losses(run: Path) -> list[tuple[object, ...]]:
    names = ("kind", "step", "tokens", "loss", "bits_per_byte", "gradient_norm", "skipped_steps")
    return [tuple(entry.get(name) for name in names) for entry in read_metrics(run)]


def test_a_save_between_two_reports_changes_no_entry(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after a save at step 7 or 14, of a run that reports every 5 steps."""
    options = {"steps": 21, "save_every": 7, "log_every": 5, "layers": 1, "eval_every": 0}
    straight = tmp_path / "straight"
    train(tiny(char_corpus.directory, straight, **options), quiet=True)
    assert [entry[1] for entry in losses(straight)] == [5, 10, 15, 20, 21]
    flush = Reports.flush
    for saved in (7, 14):
        killed = tmp_path / f"killed-{saved}"

        def die(reports: Reports, *, at_once: bool = False, saved: int = saved) -> None:
            flush(reports, at_once=at_once)
            if not at_once and newest_step(tmp_path / f"killed-{saved}") == saved:
                raise MemoryError

        with monkeypatch.context() as context:
            context.setattr(Reports, "flush", die)
            with pytest.raises(MemoryError):
                train(tiny(char_corpus.directory, killed, **options), quiet=True)
        result = train(tiny(char_corpus.directory, killed, **options), quiet=True)
        assert result.start_step == saved
        assert losses(killed) == losses(straight)


def test_a_validation_loss_that_is_not_finite_then_resumed(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def infinite(_: Evaluator) -> Evaluation:
        return Evaluation.from_loss(math.inf, num_tokens=1, text_bytes=1)

    monkeypatch.setattr(Evaluator, "evaluate", infinite)
    options = {"eval_every": 4, "save_every": 4, "sample_tokens": 0, "layers": 1}
    for steps in (4, 8):
        result = train(tiny(char_corpus.directory, tmp_path, steps=steps, **options), quiet=True)
        assert result.step == steps
    validations = [entry for entry in read_metrics(tmp_path) if entry["kind"] == "validation"]
    assert [(entry["step"], entry["loss"]) for entry in validations] == [(4, None), (8, None)]
