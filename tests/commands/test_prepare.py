"""`textreel prepare` at the terminal: what stands on the screen, exit codes, standard input."""

import gzip
from pathlib import Path

import pytest
from corpora import TRAIN, documents, files, text, write
from terminal import textreel

from pipeline import open_corpus


def test_it_says_what_it_made_and_what_to_run_next(tmp_path: Path) -> None:
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
        (["prepare"], 2, "SOURCE"),
        (["prepare", "TEXT"], 2, "--output"),
        (["prepare", "TEXT", "--output", "OUT", "--record_tokens", "0"], 2, "`record_tokens`"),
        (["prepare", "TEXT", "--output", "OUT", "--workers", "0"], 2, "`workers` must be an int"),
        (["prepare", "TEXT", "--output", "OUT", "--workers", "x"], 2, "invalid int"),
        (["prepare", "TEXT", "--output", "OUT", "--splits", "train"], 2, "must be of the form"),
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
def test_each_mistake_has_a_message_and_no_traceback(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    write(tmp_path / "TEXT", b"text \xff\xff" + b"x" * 100)
    result = textreel(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "OUT").exists()


def test_help_names_every_option() -> None:
    result = textreel("prepare", "--help")
    assert result.returncode == 0
    for option in ("SOURCE", "--output", "--vocabulary", "--glob", "--splits", "--name",
                   "--shard_bytes", "--record_tokens", "--workers", "--overwrite", "--document",
                   "--text_field", "--min_count", "--unknown", "--engine"):  # fmt: skip
        assert option in result.stdout
    assert "(default: train=0.98,validation=0.02)" in " ".join(result.stdout.split())


def test_standard_input(tmp_path: Path) -> None:
    content = text(5000).encode()
    arguments = ["prepare", "-", "--output", "c", "--splits", "train=1"]
    result = textreel(*arguments, cwd=tmp_path, input=content)
    assert result.returncode == 0, result.stderr
    corpus = open_corpus(tmp_path / "c")
    assert documents(corpus, "train") == [content]
    assert corpus.manifest.options["splits"] == TRAIN
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == sorted(files(tmp_path / "c"))
    for wrong, message in [(gzip.compress(b"x"), b"compressed with gzip"), (b"", b"is empty")]:
        result = textreel(*arguments[:3], "d", *arguments[4:], cwd=tmp_path, input=wrong)
        assert result.returncode == 1
        assert message in result.stderr
        assert b"Traceback" not in result.stderr
        assert not (tmp_path / "d").exists()


def test_subwords(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", text(50_000))
    result = textreel("prepare", "TEXT", "--output", "OUT", "--vocabulary", "bpe:300", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "vocabulary: bpe:300, 300 ids, stored as uint16" in result.stdout
