"""`textreel prepare` at the terminal: what stands on the screen, exit codes, standard input."""

import argparse
import dataclasses
import gzip
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from corpora import TRAIN, documents, files, text, write
from manifests import MANIFEST
from terminal import ENVIRONMENT, textreel
from tokenizer_files import families

from pipeline import open_corpus
from pipeline.commands.prepare import next_text
from pipeline.layout.manifest import Split
from trainer import task
from trainer.config.splits import check_splits, without_validation


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
    assert f"textreel train '{output}' -o RUN" in result.stdout
    other = textreel("prepare", tmp_path / "in", "--output", output)
    assert other.returncode == 1
    assert "sources as they are now; nothing was changed" in other.stderr
    assert "--overwrite" in other.stderr
    replaced = textreel("prepare", tmp_path / "in", "--output", output, "--overwrite")
    assert replaced.returncode == 0
    assert open_corpus(output).vocabulary.kind == "byte"


@pytest.mark.parametrize(
    ("num_bytes", "splits", "proposed"),
    [
        (20_000, "train=0.98,validation=0.02", ""),
        (20_000, "train=1", ""),
        (20_000, "train=0.9,test=0.1", " --validation_split test"),
        (20_000, "a=0.1,b=0.9", " --train_split b --validation_split a"),
        (60, "train=0.9,validation=0.1", " --seq_len 54"),
        (60, "train=0.5,test=0.4,other=0.1", " --seq_len 30"),
        (2_000, "train=0.99,test=0.01", ""),
        (1, "train=1", " --seq_len 1"),
    ],
)
def test_what_it_proposes_works(tmp_path: Path, num_bytes: int, splits: str, proposed: str) -> None:
    """The options are those that training takes, and its checks let them pass."""
    source = write(tmp_path / "x.txt", b"a" * num_bytes)
    output = tmp_path / "a corpus"
    result = textreel("prepare", source, "--output", output, "--splits", splits)
    assert result.returncode == 0, result.stderr
    command = result.stdout.splitlines()[-1].strip()
    assert command == f"textreel train '{output}' -o RUN{proposed}"
    parser = argparse.ArgumentParser()
    task.add_arguments(parser)
    config = task.config_of(parser.parse_args(shlex.split(command)[2:]))
    corpus = open_corpus(config.corpus)
    config, _ = without_validation(corpus, config)
    check_splits(corpus, config)
    assert config.train_split in corpus.splits


def test_where_nothing_works_nothing_is_proposed() -> None:
    (shard,) = MANIFEST.splits["test"].shards
    empty = dataclasses.replace(MANIFEST, splits={"train": Split(shards=(shard,))})
    assert next_text(empty, "c") == (
        "made the corpus c, which is too short to train on: prepare more text"
    )
    assert "train ./-c " in next_text(MANIFEST, "-c")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare"], 2, "SOURCE"),
        (["prepare", "TEXT"], 2, "--output"),
        (
            ["prepare", "TEXT", "--output", "OUT", "--record_tokens", "0"],
            2,
            "error: --record_tokens must",
        ),
        (["prepare", "TEXT", "--output", "OUT", "--workers", "0"], 2, "--workers must be an int"),
        (
            ["prepare", "TEXT", "--output", "OUT", "--workers", "x"],
            2,
            "an integer, got 'x'",
        ),
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


def test_what_is_there_already_is_nothing_to_do(tmp_path: Path) -> None:
    source = write(tmp_path / "x.txt", text(20_000))
    arguments = ("prepare", source, "-o", tmp_path / "c", "--shard_bytes", "5000")
    assert textreel(*arguments).returncode == 0
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c").iterdir()}
    again = textreel(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith(
        "c is there already, of these sources and options; nothing to do\n"
    )
    assert textreel(*arguments, "-q").stdout == ""
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c").iterdir()} == before

    def is_refused(*more: object) -> bool:
        result = textreel("prepare", *more, *arguments[1:])
        return result.returncode == 1 and "nothing was changed" in result.stderr

    assert is_refused("--record_tokens=99")
    assert is_refused("--array_record")
    assert is_refused(write(tmp_path / "y.txt", "more"))
    shard = sorted((tmp_path / "c").glob("*.tfrecord-*"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    assert is_refused()
    shard.write_bytes(content)
    assert not is_refused()
    os.utime(source)  # it may have changed
    assert is_refused()


def test_help_names_every_option() -> None:
    result = textreel("prepare", "--help")
    assert result.returncode == 0
    for option in ("SOURCE", "--output", "--vocabulary", "--glob", "--splits", "--name",
                   "--shard_bytes", "--record_tokens", "--workers", "--overwrite", "--document",
                   "--text_field", "--hidden", "--allow_binary", "--min_count", "--unknown",
                   "--engine"):  # fmt: skip
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
    compressed = textreel(
        "prepare", "-", "--output", "e", "--splits", "train=1", cwd=tmp_path,
        input=gzip.compress(content),
    )  # fmt: skip
    assert compressed.returncode == 0, compressed.stderr
    assert documents(open_corpus(tmp_path / "e"), "train") == [content]


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ((), b"", "error: standard input is empty"),
        ((), b"\x28\xb5\x2f\xfd broken", "error: standard input is damaged: after 0 bytes"),
        ((), gzip.compress(b"text")[:-4], "error: standard input is cut off: after 4 bytes"),
        ((), b"\x89PNG\r\n\x1a\n", "error: standard input is a picture (PNG)"),
        (("--vocabulary", "char"), b"ab\xff", "error: standard input is not UTF-8 at byte 2"),
        (
            ("--text_field", "text"),
            b'{"text":"ok"}\nnot json\n',
            "error: standard input, line 2: not valid JSON",
        ),
        (
            ("--document", "line", "--max_row_bytes", "5"),
            b"a\nlonger\n",
            "error: standard input, the document at byte 2: longer than 5 bytes",
        ),
    ],
)
def test_messages_name_standard_input_not_the_file_that_keeps_it(
    tmp_path: Path, arguments: tuple[str, ...], given: bytes, message: str
) -> None:
    result = textreel(
        "prepare", "-", "--output", "d", "--splits", "train=1", *arguments, cwd=tmp_path,
        input=given,
    )  # fmt: skip
    assert result.returncode == 1
    assert message in result.stderr.decode()
    assert b".incomplete" not in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_pipe_of_a_shell_is_a_source(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "from a file\n")
    command = (
        f"{sys.executable} -m pipeline prepare <(echo from a pipe) a.txt <(echo from another) "
        "--output c --splits train=1"
    )
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    corpus = open_corpus(tmp_path / "c")
    assert [source.name for source in corpus.manifest.sources] == ["pipe:1", "a.txt", "pipe:2"]
    assert documents(corpus, "train") == [b"from a pipe\n", b"from a file\n", b"from another\n"]
    refused = textreel("plan", "-", cwd=tmp_path)
    assert refused.returncode == 2
    assert "`SOURCE` - can be read only once" in refused.stderr


def test_it_says_what_it_reads_and_what_it_leaves_out(tmp_path: Path) -> None:
    write(tmp_path / "in/a.txt", "text")
    write(tmp_path / "in/b.txt.gz", gzip.compress(b"text"))
    write(tmp_path / "in/c.jsonl", '{"text": "row"}\n')
    for name in (".DS_Store", "._a.txt", "_metadata", ".git/x", "empty.txt"):
        write(tmp_path / "in" / name, "" if name == "empty.txt" else "x")
    prepared = textreel(
        "prepare", "in", "--output", "in/c", "--text_field", "text", "--splits", "train=1",
        cwd=tmp_path,
    )  # fmt: skip
    assert prepared.returncode == 0, prepared.stderr
    planned = textreel("plan", "in", "--text_field", "text", "--splits", "train=1", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    for result in (prepared, planned):
        size = (tmp_path / "in/b.txt.gz").stat().st_size + 20
        lines = result.stdout.splitlines()
        assert lines[0] == f"3 sources, {size} B: 1 text, 1 text (.gz), 1 JSON Lines"
        hidden = "left out: 4 hidden, their names begin with . or _ (`--hidden` takes them)"
        assert f"{hidden}: .DS_Store, ._a.txt, .git/, …" in lines
        assert "left out: 1 without a byte: empty.txt" in lines
    assert "left out: 1 made by textreel: c/" in planned.stdout


@pytest.mark.parametrize("vocabulary", ["byte", "char", "bpe:300"])
def test_what_is_odd_about_a_text_is_said_once(tmp_path: Path, vocabulary: str) -> None:
    rows = '{"text": "some text"}\n'
    for name, content in (("a.gz", text(200_000)), ("b.gz", "short"), ("c.json.gz", rows * 2)):
        write(tmp_path / "in" / name, gzip.compress(content.encode()) + b"and more")
    result = textreel(
        "prepare", "in", "--output", "c", "--splits", "train=1", "--workers", "2",
        "--shard_bytes", "100", "--vocabulary", vocabulary, "--text_field", "text", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = sorted(result.stderr.splitlines())
    assert len(lines) == 3
    for name, line in zip(("a.gz", "b.gz", "c.json.gz"), lines, strict=True):
        assert line.startswith(f"textreel: warning: {tmp_path}/in/{name}: what stands at byte ")


def test_what_is_odd_about_standard_input_is_said_of_it(tmp_path: Path) -> None:
    result = textreel(
        "prepare", "-", "--output", "c", "--splits", "train=1", cwd=tmp_path,
        input=gzip.compress(b"text") + b"and more",
    )  # fmt: skip
    assert result.returncode == 0
    assert result.stderr.startswith(b"textreel: warning: standard input: what stands at byte 24 of")


def test_binary_formats_are_taken_where_they_are_meant(tmp_path: Path) -> None:
    write(tmp_path / "x.pdf", b"%PDF-1.7 \xff\0")
    arguments = ("prepare", "x.pdf", "--output", "c", "--splits", "train=1", "--allow_binary")
    result = textreel(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "1 source, 11 B: 1 a PDF document, byte by byte" in result.stdout
    refused = textreel(*arguments, "--vocabulary", "char", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--allow_binary has no effect with --vocabulary char" in refused.stderr


def test_subwords(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", text(50_000))
    result = textreel("prepare", "TEXT", "--output", "OUT", "--vocabulary", "bpe:300", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "vocabulary: bpe:300, 300 ids, stored as uint16" in result.stdout
    # Ids of that vocabulary, as another tool writes them: with a separator, and without one.
    np.array([5, 6, 7] * 100, "<u2").tofile(tmp_path / "train.bin")
    given = ("--from_bin", "uint16", "--vocabulary", "OUT")
    result = textreel("prepare", "train.bin", "-o", "IDS", *given, cwd=tmp_path)
    manifest = open_corpus(tmp_path / "OUT").manifest
    assert f"vocabulary: blake3:{manifest.vocabulary_fingerprint[:12]}, 300 ids" in result.stdout
    told = f"no document ends: the separator, id {manifest.separator_id}, is not among the ids"
    assert told in result.stdout
    np.array([5, 6, manifest.separator_id] * 100, "<u2").tofile(tmp_path / "train.bin")
    result = textreel("prepare", "train.bin", "-o", "IDS2", *given, cwd=tmp_path)
    assert "100 documents" in result.stdout
    assert "no document ends" not in result.stdout


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_is_obeyed_while_merges_are_learned(tmp_path: Path) -> None:
    write(tmp_path / "DNA", "".join(random.Random(0).choices("ACGT", k=6_000_000)))
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "pipeline", "prepare", "DNA", "--output", "OUT"]
    process = subprocess.Popen(
        [*command, "--vocabulary", "bpe:60000"],
        cwd=tmp_path, env=ENVIRONMENT | {"TMPDIR": str(tmp_path / "tmp")}, text=True,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in tmp_path.glob("tmp/*/*.txt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # the library has it now, for many seconds
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    sent = time.monotonic()
    _, shown = process.communicate(timeout=60)
    assert time.monotonic() - sent < 2
    assert process.returncode == 130
    assert shown == "\ntextreel: interrupted; the same command goes on where it was\n"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not list(tmp_path.glob("OUT/*.json"))


def test_published_tokenizers(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", "caf\u0065\u0301 and <think> " * 500)
    for family in ("Qwen", "StarCoder, SmolLM"):
        write(tmp_path / f"{family[0]}/tokenizer.json", json.dumps(families()[family]))
    arguments = ["prepare", "TEXT", "--splits", "train=1", "--output", "OUT", "--vocabulary"]
    result = textreel(*arguments, "Q", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(
        "textreel: error: Q: it changes text before it encodes it (NFC)"
    )
    assert "--normalize takes it" in result.stderr
    result = textreel(*arguments, "Q", "--normalize", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert documents(open_corpus(tmp_path / "OUT"), "train") == ["café and <think> ".encode() * 500]
    result = textreel(*arguments, "S", "--normalize", "--overwrite", cwd=tmp_path)
    assert result.returncode == 2
    assert "--normalize has no effect: S changes no text" in result.stderr
    result = textreel(*arguments, "S", "--overwrite", cwd=tmp_path)
    assert result.returncode == 0
    assert "the library tokenizers encodes instead, with the same ids" in result.stderr
