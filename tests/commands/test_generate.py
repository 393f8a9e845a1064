"""generate: its flags, and where its prompt comes from."""

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from training import tiny

from pipeline import Corpus, UserError
from trainer.cli import build_parser
from trainer.commands.generate import request_of, write
from trainer.generation.request import Request
from trainer.generation.sampler import generate
from trainer.loop import train

FLAGS: dict[str, tuple[list[str], Any]] = {
    "prompt": (["--prompt", "日"], "日"),
    "tokens": (["--tokens", "9"], 9),
    "temperature": (["--temperature", "0.5"], 0.5),
    "top_k": (["--top_k", "3"], 3),
    "top_p": (["--top_p", "0.5"], 0.5),
    "seed": (["--seed", "7"], 7),
    "stop": (["--stop", "a", "--stop", "b c"], ("a", "b c")),
}


def asked(*flags: str) -> Request:
    return request_of(build_parser().parse_args(["generate", "RUN", *flags]))


def test_every_flag_sets_its_option_and_no_other() -> None:
    assert asked() == Request()
    assert set(FLAGS) == {field.name for field in dataclasses.fields(Request)}
    for name, (flags, value) in FLAGS.items():
        assert asked(*flags) == dataclasses.replace(Request(), **{name: value})


def test_a_prompt_comes_from_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes("日\r\n".encode())
    assert asked("--prompt_file", str(file)).prompt == "日\r\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo")))
    assert asked("--prompt_file", "-").prompt == "one\ntwo"
    file.write_bytes(b"abc\xff")
    with pytest.raises(UserError, match=r"`prompt_file` .*prompt.txt must be UTF-8, but byte 3"):
        asked("--prompt_file", str(file))
    with pytest.raises(SystemExit):
        asked("--prompt_file", str(file), "--prompt", "x")


def test_the_command_writes_what_the_run_says(
    char_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=2), quiet=True)
    flags = ["generate", str(tmp_path), "--prompt", "lorem", "--tokens", "9", "--seed", "3"]
    arguments = build_parser().parse_args(flags)
    arguments.run(arguments)
    text = "".join(generate(tmp_path, prompt="lorem", tokens=9, seed=3)).replace("\0", "\n")
    assert capsys.readouterr().out == f"lorem{text}\n"
    arguments = build_parser().parse_args([*flags, "--samples", "2"])
    arguments.run(arguments)
    out = capsys.readouterr().out
    assert out.startswith(f"--- sample 1 of 2\nlorem{text}\n--- sample 2 of 2\nlorem")


def test_escape_sequences_reach_files_but_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\x1b]0;title\x07\tb\n\x9b2J"
    for is_terminal, expected in ((True, "a\\x1b]0;title\\x07\tb\n\\x9b2J"), (False, text)):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal)
        monkeypatch.setattr(sys, "stdout", stream)
        write(text)
        assert stream.getvalue() == expected
