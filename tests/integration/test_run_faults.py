"""Runs whose files are damaged, lost or another's: nothing restarts by itself, nothing is lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training import assert_same_bits, checkpoint_arrays, start_child, tiny

from pipeline import Corpus, OptionError, UserError
from trainer.cli import build_parser
from trainer.evaluation.evaluate import evaluate
from trainer.exporting.directory import export
from trainer.generation.sampler import generate
from trainer.loop import train
from trainer.reports.metrics import read_metrics
from trainer.run.checkpoint import BEST_DIRECTORY, DIRECTORY
from trainer.run.stored import files_by_step

OPTIONS: dict[str, Any] = {"layers": 1, "units": 8, "sample_tokens": 0, "dropout": 0.0}


@pytest.fixture(scope="module")
def run(char_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved at steps 3, 6 and 9; the best is that of step 9."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    options = OPTIONS | {"steps": 9, "save_every": 3, "eval_every": 3, "log_every": 3}
    train(tiny(char_corpus.directory, directory, **options), quiet=True)
    return directory


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def longer(corpus: Corpus, run: Path, **changes: Any) -> Any:
    options = {"steps": 12, "save_every": 3, "eval_every": 3, "log_every": 3}
    return tiny(corpus.directory, run, **OPTIONS | options | changes)


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def steps_in(run: Path, folder: str = DIRECTORY) -> list[int]:
    return sorted(files_by_step(str(run / folder)))


def losses(run: Path) -> list[Any]:
    return [(entry["kind"], entry["step"], entry["loss"]) for entry in read_metrics(run)]


@pytest.mark.parametrize("how", ["missing", "empty", "text", "another's"])
def test_the_state_file_of_older_versions_has_no_effect(
    char_corpus: Corpus, copy: Path, tmp_path: Path, how: str
) -> None:
    other = Path(shutil.copytree(copy, tmp_path / "other"))
    before, state = contents(other), copy / DIRECTORY / "checkpoint"
    if how != "missing":
        state.write_text("" if how == "empty" else "<<<<<<< HEAD\n")
    if how == "another's":
        listed = [f"{other}/{DIRECTORY}/ckpt-{step}" for step in (3, 6, 9)]
        lines = [f'all_model_checkpoint_paths: "{path}"\n' for path in listed]
        state.write_text(f'model_checkpoint_path: "{listed[0]}"\n' + "".join(lines))
    result = train(longer(char_corpus, copy, keep_checkpoints=1), quiet=True)
    assert (result.start_step, result.step, steps_in(copy)) == (9, 12, [12])
    assert contents(other) == before


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("change", [damage, Path.unlink])
def test_a_damaged_newest_one_is_said_kept_and_written_anew(
    char_corpus: Corpus,
    run: Path,
    copy: Path,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
    change: Callable[[Path], None],
) -> None:
    change(copy / DIRECTORY / f"ckpt-9{suffix}")
    left = {path.name: path.read_bytes() for path in (copy / DIRECTORY).glob("ckpt-9*")}
    text = "".join(generate(copy, tokens=5, checkpoint="newest"))
    said = capsys.readouterr().err
    assert f"warning: {copy}/{DIRECTORY}/ckpt-9 is damaged (" in said
    assert "going on from the newest whole one, of step 6" in said
    assert len(text) == 5
    result = train(longer(char_corpus, copy, steps=9, keep_checkpoints=2))
    assert f"warning: {copy}/{DIRECTORY}/ckpt-9 is damaged (" in capsys.readouterr().out
    assert (result.start_step, steps_in(copy)) == (6, [6, 9])
    kept = {path.name: path.read_bytes() for path in (copy / DIRECTORY / "damaged").iterdir()}
    assert kept == left
    expected = checkpoint_arrays(str(run / DIRECTORY / "ckpt-9"))
    assert_same_bits(checkpoint_arrays(result.checkpoint), expected)
    assert losses(copy) == losses(run)


@pytest.mark.parametrize("folder", [DIRECTORY, BEST_DIRECTORY])
def test_nothing_whole_is_an_error_and_nothing_is_touched(
    char_corpus: Corpus, copy: Path, folder: str
) -> None:
    for path in (copy / folder).glob("ckpt-*.index"):
        damage(path)
    before = contents(copy)
    with pytest.raises(UserError, match=f"{folder} has checkpoints, but none that is whole: ckpt-"):
        train(longer(char_corpus, copy, units=9), quiet=True)
    assert contents(copy) == before
    which = "newest" if folder == DIRECTORY else "best"
    for use in (
        lambda: generate(copy, checkpoint=which),
        lambda: evaluate(copy, checkpoint=which),
        lambda: export(copy, copy.parent / "export", checkpoint=which),
    ):
        with pytest.raises(UserError, match="none that is whole"):
            use()
    assert contents(copy) == before


def test_a_run_that_has_lost_its_checkpoints_does_not_begin_anew(
    char_corpus: Corpus, copy: Path
) -> None:
    shutil.move(copy / DIRECTORY, copy.parent / "lost")
    before = contents(copy)
    with pytest.raises(UserError, match=r"has a run\.toml, but checkpoints/, which .* is gone\."):
        train(longer(char_corpus, copy), quiet=True)
    assert contents(copy) == before
    shutil.move(copy.parent / "lost", copy / DIRECTORY)
    assert train(longer(char_corpus, copy), quiet=True).start_step == 9


@pytest.mark.parametrize("name", ["r[ab]", "g*q?\\x"])
def test_paths_are_no_patterns(
    char_corpus: Corpus, run: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = shutil.copytree(char_corpus.directory, tmp_path / name / "corpus")
    for other in ("ra", "ggqqx"):
        shutil.copytree(run, tmp_path / other / "run")
    before = {other: contents(tmp_path / other) for other in ("ra", "ggqqx")}
    mine, events = tmp_path / name / "run", str(tmp_path / name / "events")
    for steps in (6, 9):
        options = {"keep_checkpoints": 1, "events": events, "steps": steps, "eval_every": 3}
        config = tiny(corpus, mine, **OPTIONS | options | {"save_every": 3, "log_every": 3})
        result = train(config, quiet=True)
    assert (result.start_step, steps_in(mine), steps_in(mine, BEST_DIRECTORY)) == (6, [9], [9])
    expected = checkpoint_arrays(str(run / DIRECTORY / "ckpt-9"))
    assert_same_bits(checkpoint_arrays_of(mine, tmp_path), expected)
    assert list(generate(mine, tokens=9)) == list(generate(run, tokens=9))
    assert evaluate(mine) == evaluate(run)
    assert "saved_model.pb" in export(mine, tmp_path / name / "export")
    picture = str(tmp_path / name / "curves.png")
    for flags in (["curves", str(mine), "--output", picture], ["trace", str(mine), "--step", "0"]):
        arguments = build_parser().parse_args(flags)
        arguments.run(arguments)
    assert Path(picture).exists()
    assert {other: contents(tmp_path / other) for other in ("ra", "ggqqx")} == before
    assert capsys.readouterr().err == ""


def checkpoint_arrays_of(run: Path, tmp_path: Path) -> dict[str, Any]:
    """Those of step 9, read from a path that TensorFlow can read."""
    shutil.copytree(run / DIRECTORY, tmp_path / "plain")
    return checkpoint_arrays(str(tmp_path / "plain" / "ckpt-9"))


HOLD = """
import sys
from training import tiny
from trainer.loop import train
import trainer.loop
real = trainer.loop.event_steps
def paused(*arguments):
    for step in real(*arguments):
        yield step
        print("at", step, flush=True)
        sys.stdin.readline()
trainer.loop.event_steps = paused
train(tiny(*sys.argv[1:], layers=1, units=8, sample_tokens=0, steps=9, save_every=3), quiet=True)
"""


def test_two_trainings_into_one_output(char_corpus: Corpus, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = tiny(char_corpus.directory, run, layers=1, units=8, sample_tokens=0, steps=9)
    with start_child(HOLD, char_corpus.directory, str(run), stdin=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at 3\n", child.communicate()
        with pytest.raises(UserError, match=rf"{run} is being trained by process {child.pid} on "):
            train(config, quiet=True)
        assert list(generate(run, tokens=1))
        child.kill()
        child.communicate()
    assert train(config, quiet=True).start_step == 3  # the lock of the dead is free
    assert not (run / ".lock").exists()


def test_files_that_do_not_belong_together_are_refused(
    char_corpus: Corpus, byte_corpus: Corpus, copy: Path
) -> None:
    uses: list[Callable[[], object]] = [
        lambda: generate(copy),
        lambda: evaluate(copy),
        lambda: export(copy, copy.parent / "export"),
    ]
    config = (copy / "run.toml").read_text()
    (copy / "run.toml").write_text(config.replace("seq_len = 16", "seq_len = 20"))
    message = r"run.toml is not what .*ckpt-9 was trained with: `seq_len`: the run has 16, the f"
    for use in uses:
        with pytest.raises(UserError, match=message):
            use()
    for content in ("[]", "null", "{", "x = " + "[" * 10**6, "x = 1", "corpus = 3", "", "3"):
        (copy / "run.toml").write_text(content)
        with pytest.raises(UserError, match=r"run.toml: not the settings of a run of this"):
            generate(copy)
    (copy / "run.toml").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"run.toml: not the settings of a run of this"):
        generate(copy)
    (copy / "run.toml").write_text(config)
    vocabulary = json.loads((copy / "vocabulary.json").read_text())
    characters = vocabulary["characters"]
    for changed in ("é" + characters[1:], characters[:-1]):
        text = json.dumps({**vocabulary, "characters": changed})
        (copy / "vocabulary.json").write_text(text)
        for use in uses:
            with pytest.raises(UserError, match=r"its vocabulary is not the one .* fingerprint"):
                use()


def test_code_of_a_run_runs_where_it_is_allowed(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = tmp_path / "code", tmp_path / "run"
    folder.mkdir()
    (folder / "strangers.py").write_text(
        "from pathlib import Path\nfrom own_models import recurrent\n"
        "Path(__file__).with_name('ran').touch()\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    options = OPTIONS | {"steps": 1, "save_every": 1, "eval_every": 0}
    config = tiny(char_corpus.directory, run, model="own_models:recurrent", **options)
    train(config, quiet=True)
    import trainer.run.opening as opening

    def of_stranger(*_: object) -> Any:
        return tiny(char_corpus.directory, run, model="strangers:recurrent", **options)

    monkeypatch.setattr(opening, "_check_config", lambda *_: None)
    monkeypatch.setattr("trainer.config.saved.run_config", of_stranger)
    monkeypatch.setattr("trainer.commands.flags.run_config", of_stranger)
    for use in (generate, evaluate):
        with pytest.raises(UserError, match="--model strangers:recurrent or --allow_code"):
            use(run)
    with pytest.raises(UserError, match="runs the code of that module"):
        export(run, tmp_path / "export")
    for command in (["generate"], ["evaluate"], ["export", "--output", str(tmp_path / "export")]):
        arguments = build_parser().parse_args([*command, str(run)])
        with pytest.raises(UserError, match="runs the code of that module"):
            arguments.run(arguments)
        arguments = build_parser().parse_args([*command, str(run), "--model", "os:getcwd"])
        with pytest.raises(OptionError, match=r"`model` must be the one of the run .*'strangers:r"):
            arguments.run(arguments)
    assert not (folder / "ran").exists()
    arguments = build_parser().parse_args(["evaluate", str(run), "--model", "strangers:recurrent"])
    arguments.run(arguments)
    assert (folder / "ran").exists()
    (folder / "ran").unlink()
    arguments = build_parser().parse_args(["generate", str(run), "--tokens=3", "--allow_code"])
    arguments.run(arguments)
