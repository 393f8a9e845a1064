"""trainer.cli as a user meets it: output, messages, exit codes."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training import ROOT, run_child, tiny

from pipeline import Corpus
from trainer.cli import build_parser
from trainer.run.checkpoint import newest_step

LOADING = "loading TensorFlow …\n"
TINY = ["--units", "8", "--embedding_dim", "4", "--seq_len", "16", "--batch_size", "8"]
TINY += ["--sample_tokens", "8"]


COLD = [*TINY, "--steps", "6", "--eval_every", "3", "--save_every", "3", "--log_every", "2"]


def start(module: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(module: str, *arguments: str) -> tuple[int, str, str]:
    with start(module, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_train_then_generate(char_corpus: Corpus, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    flags = [char_corpus.directory, "--output", run, *COLD]
    code, out, err = call("trainer.cli", "train", *flags)
    assert code == 0, err
    loading, *steps = err.splitlines()
    assert loading == LOADING.rstrip()
    assert [line.split()[:2] for line in steps] == [["step", f"{step}/6"] for step in (2, 4, 6)]
    # Every command that it names can be called.
    _, _, named = out.partition("\nnext:\n")
    for line in named.splitlines():
        arguments = build_parser().parse_args(shlex.split(line)[1:])
        assert (arguments.run_directory if "curves" not in line else arguments.runs[0]) == run
    assert len(named.splitlines()) == 4

    flags = [run, "--split", "train", "--checkpoint", "best"]
    code, out, err = call("trainer.cli", "evaluate", *flags)
    assert (code, err) == (0, LOADING)
    assert " windows: loss " in out
    assert out.endswith(" bits/character\n")

    code, out, err = call("trainer.cli", "export", run, "--output", str(tmp_path / "model"))
    assert (code, err) == (0, LOADING + "exporting the model …\n")
    assert out.startswith(f"made {tmp_path / 'model'}:\n")
    for part in ("saved_model.pb\n", "model.keras\n", "tf.saved_model.load("):
        assert part in out

    flags = [run, "--prompt", "lorem", "--tokens", "9", "--seed", "3"]
    code, out, err = call("trainer.cli", "generate", *flags)
    assert (code, err) == (0, LOADING)
    assert out.startswith("lorem")
    assert len(out) == len("lorem") + 9 + 1
    text = out.removesuffix("\n")

    (tmp_path / "prompt.txt").write_text("lorem")
    flags = [run, "--tokens", "9", "--seed", "3", "--samples", "2"]
    flags += ["--prompt_file", str(tmp_path / "prompt.txt")]
    code, out, err = call("trainer.cli", "generate", *flags)
    assert (code, err) == (0, LOADING)
    assert out.startswith(f"--- sample 1 of 2\n{text}\n--- sample 2 of 2\nlorem")


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(char_corpus: Corpus, tmp_path: Path) -> None:
    flags = [char_corpus.directory, "--output", str(tmp_path / "run"), *TINY]
    flags += ["--steps", "1000000", "--eval_every", "0", "--save_every", "10", "--log_every", "5"]
    with start("trainer.task", *flags) as process:
        deadline = time.monotonic() + 120
        while not newest_step(tmp_path / "run") and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert newest_step(tmp_path / "run")
    assert f"the same command resumes {tmp_path / 'run'} from step " in out
    assert err.endswith("\ntextreel: interrupted\n")  # once is enough
    assert "Traceback" not in err


def test_errors_have_no_traceback(tmp_path: Path) -> None:
    flags = [str(tmp_path / "none"), "--output", str(tmp_path / "run")]
    code, _, err = call("trainer.task", *flags)
    assert code == 1
    assert err.startswith(f"textreel: error: no such corpus: {tmp_path / 'none'}")
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()

    code, _, err = call("trainer.task", *flags, "--units", "0")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("textreel: error: --units must be an integer of at least 1, got 0")

    code, _, err = call("trainer.cli", "generate", "x", "--top_p", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("textreel: error: --top_p must be above 0 and at most 1")

    code, _, err = call("trainer.cli", "train", "x")
    assert code == 2
    assert err == "textreel: error: --output must be given\n"


HELP = """
import contextlib, io, sys
from trainer.cli import build_parser
for command in (["--help"], ["train", "--help"], ["generate", "--help"]):
    with contextlib.suppress(SystemExit):
        build_parser().parse_args(command)
print("tensorflow" in sys.modules)
"""


def test_help_needs_no_tensorflow() -> None:
    out = run_child(HELP)
    assert out.endswith("\nFalse\n")
    for word in (
        "prepare",
        "train",
        "generate",
        "--sample_temperatures",
        "--temperature",
        "--stop",
    ):
        assert word in out


def test_vertex_ai_gets_the_model_at_the_end(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", f"file://{tmp_path}/checkpoints/")
    monkeypatch.setenv("AIP_MODEL_DIR", f"file://{tmp_path}/model/")
    flags = [char_corpus.directory, *TINY, "--steps", "1", "--eval_every", "0"]
    code, out, err = call("trainer.task", *flags)
    assert code == 0, err
    assert out.endswith(f"exported the model to file://{tmp_path}/model/\n")
    assert (tmp_path / "model" / "saved_model.pb").exists()


EARLY = """
import sys
from trainer.cli import build_parser
arguments = build_parser().parse_args(sys.argv[1:])
try:
    arguments.run(arguments)
except Exception as error:
    print("tensorflow" in sys.modules, type(error).__name__, error)
"""


def test_what_is_wrong_is_told_before_tensorflow_is_loaded(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path: Path
) -> None:
    run, corpus = tmp_path / "run", char_corpus.directory
    run.mkdir()
    (run / "run.toml").write_text(tiny(corpus, run, model="strangers:model").to_toml())
    char_corpus.vocabulary.save(str(run))
    none, to_train = str(tmp_path / "none"), ["-o", str(tmp_path / "new")]
    trusted = [str(run), "--allow_code"]
    for command, message in [
        (["train", none, *to_train], "none"),
        (["train", corpus, *to_train, "--train_split", "all"], "has no split 'all'"),
        (["train", corpus, *to_train, "--seq_len", "10000000"], "is too short"),
        (["generate", none], "is not the directory of a run"),
        (["generate", str(run)], "--allow_code"),
        (["generate", str(run), "--model", "a:b"], "`model` must be the one of the run"),
        (["evaluate", none], "is not the directory of a run"),
        (["evaluate", *trusted, "--split", "all"], "no split 'all'"),
        (["evaluate", *trusted, "--corpus", none], "none"),
        (["evaluate", *trusted, "--corpus", byte_corpus.directory], "has another vocabulary"),
        (["export", none, "--output", str(tmp_path / "made")], "is not the directory of a run"),
    ]:
        told = run_child(EARLY, *command)
        assert told.startswith("False "), command
        assert message in told
    assert not (tmp_path / "new").exists()


def test_a_command_imports_nothing_for_the_others() -> None:
    """Help and a wrong command need no NumPy, `plan` no reports of training."""
    code = (
        "import sys; from trainer.cli import build_parser; build_parser().format_help(); "
        "early = {'numpy', 'trainer.config', 'pipeline.preparing.prepare'} & set(sys.modules); "
        "assert not early, early; build_parser().parse_args(['plan', 'text']); "
        "assert 'trainer.task' not in sys.modules and 'pipeline.commands.verify' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
