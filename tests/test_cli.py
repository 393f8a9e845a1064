"""The preprocessor at the terminal: real processes, exit codes and what stands on the screen."""

import os
import subprocess
import sys

import pytest
from corpora import text, write

from pipeline import open_corpus


def textreel(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        capture_output=True,
        text=not isinstance(options.get("input"), bytes),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        check=False,
        **options,
    )


def test_prepare_says_what_it_made_and_what_to_run_next(tmp_path):
    for name in ("a b.txt", "日本.txt"):
        write(tmp_path / "in" / name, text(5000))
    write(tmp_path / "in/ignored.md", "x")
    output = tmp_path / "my corpus"
    result = textreel(
        "prepare", tmp_path / "in", "--output", output, "--vocabulary", "char", "--glob", "*.txt",
        "--splits", "train=0.5,test=0.5", "--shard_bytes", "1000", "--record_tokens", "50",
        "--name", "mine", "--workers", "2",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    corpus = open_corpus(output)
    assert [source.name for source in corpus.manifest.sources] == ["a b.txt", "日本.txt"]
    assert corpus.manifest.record_tokens == 50
    assert corpus.manifest.name == "mine"
    assert "2 sources" in result.stdout
    assert f"char, {corpus.vocabulary.size} ids, stored as uint8" in result.stdout
    assert f"{corpus.splits['test'].num_tokens:,} tokens" in result.stdout
    assert "peak memory" in result.stdout
    assert f"textreel train --corpus '{output}' --output RUN" in result.stdout
    again = textreel("prepare", tmp_path / "in", "--output", output)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    replaced = textreel("prepare", tmp_path / "in", "--output", output, "--overwrite")
    assert replaced.returncode == 0
    assert open_corpus(output).vocabulary.kind == "byte"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "COMMAND"),
        (["prepare"], 2, "SOURCE"),
        (["prepare", "TEXT"], 2, "--output"),
        (["prepare", "TEXT", "--output", "OUT", "--record_tokens", "0"], 2, "`record_tokens`"),
        (["prepare", "TEXT", "--output", "OUT", "--workers", "0"], 2, "`workers` must be at least"),
        (["prepare", "TEXT", "--output", "OUT", "--workers", "x"], 2, "invalid int"),
        (["prepare", "TEXT", "--output", "OUT", "--splits", "train"], 2, "is not of the form"),
        (["prepare", "TEXT", "--output", "OUT", "--splits", "a=.5,a=.5"], 2, "each name once"),
        (
            ["prepare", "TEXT", "--output", "OUT", "--vocabulary", "word"],
            2,
            "bpe:SIZE or an existing",
        ),
        (["prepare", "ABSENT", "--output", "OUT"], 1, "no such file or directory"),
        (["prepare", "TEXT", "--output", "TEXT/OUT"], 1, "TEXT"),
        (["prepare", "TEXT", "--output", "/proc/OUT"], 1, "/proc/OUT"),
        (["prepare", "TEXT", "--output", "OUT", "--vocabulary", "char"], 1, "not UTF-8 at byte 5"),
    ],
)
def test_each_mistake_has_a_message_and_no_traceback(tmp_path, arguments, code, message):
    write(tmp_path / "TEXT", b"text \xff\xff" + b"x" * 100)
    result = textreel(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "OUT").exists()


def test_help_names_every_option():
    result = textreel("prepare", "--help")
    assert result.returncode == 0
    for option in ("SOURCE", "--output", "--vocabulary", "--glob", "--splits", "--name",
                   "--shard_bytes", "--record_tokens", "--workers", "--overwrite"):  # fmt: skip
        assert option in result.stdout


def test_inspect_verify_repair(tmp_path):
    write(tmp_path / "TEXT", text(20_000))
    assert textreel("prepare", "TEXT", "--output", "OUT", "--shard_bytes", "5000", cwd=tmp_path)
    screen = textreel("inspect", "OUT", cwd=tmp_path).stdout
    assert "byte, 256 ids" in screen
    assert "validation" in screen
    assert repr(text(20_000)[:10])[:-1] in screen
    result = textreel("verify", "OUT", cwd=tmp_path)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "all is well")
    shard = sorted((tmp_path / "OUT").glob("*.tfrecord*"))[1]
    shard.unlink()
    result = textreel("verify", "OUT", cwd=tmp_path)
    assert result.returncode == 1
    assert f"{shard.name}: is missing" in result.stdout
    assert "textreel repair OUT SOURCE" in result.stderr
    result = textreel("repair", "OUT", "TEXT", "--workers", "1", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"rebuilt {shard.name}\nOUT is whole\n")
    assert textreel("verify", "OUT", "--workers", "1", cwd=tmp_path).returncode == 0
    for command in ("inspect", "verify"):
        result = textreel(command, "TEXT", cwd=tmp_path)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
