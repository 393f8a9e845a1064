"""README and docs: every command in them can be parsed, and those that can run here do."""

import re
import shlex
import shutil
from pathlib import Path

import corpora
import pytest
from training import ROOT

from pipeline.cli import parse_arguments
from trainer import task
from trainer.cli import build_parser

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# What no test has: files and stores of others, and machines.
ELSEWHERE = re.compile(r"gs://|DATA/|TEXT |tokenizer\.|/shared/|--near_duplicates|demo")
TINY = "--steps 4 --units 8 --seq_len 16 --batch_size 8 --jit off --log_every 2 --eval_every 4"
TINY += " --sample_tokens 8 --warmup_steps 0"


def commands(page: Path) -> list[list[str]]:
    """The command lines in a page's blocks."""
    text = page.read_text()
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    lines = [part.strip() for line in blocks.splitlines() for part in re.split(r"&&| \| ", line)]
    split = [shlex.split(line, comments=True) for line in lines if is_ours(line)]
    return [words for words in split if words]


def is_ours(line: str) -> bool:
    return line.startswith(("textreel", "python -m trainer.task"))


def exit_code(words: list[str]) -> int:
    """What the parser says of a command line: 0, or 2."""
    parser, first = (task.build_parser(), 3) if words[0] == "python" else (build_parser(), 1)
    try:
        parse_arguments(parser, words[first:])
    except SystemExit as end:  # 0 for help, and the version
        return int(str(end.code))
    return 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_parsed(page: Path) -> None:
    assert [words for words in commands(page) if exit_code(words)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_in_a_sentence_is_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for span in re.findall(r"`(textreel [^`]+)`", prose):
        words = [word.strip("[]") for word in span.split()[1:]]
        with pytest.raises(SystemExit):
            build_parser().parse_args([words[0], "--help"])
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        shown = capsys.readouterr().out
        assert [flag for flag in flags if flag not in shown] == [], span


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what the pages name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    text = "Once upon a time\n" + corpora.text(20_000)
    for name in ("YOUR_TEXT", "nietzsche.txt", "shakespeare.txt", "input.txt", "START.txt"):
        Path(name).write_text(text[:10] if name == "START.txt" else text)
    vectors = [f"{letter} {' '.join(['0.5'] * 8)}" for letter in "aeiou"]
    Path("glove.6B.100d.txt").write_text("\n".join(vectors))
    for page in PAGES:
        if code := re.search(r"```python\n(# mine\.py.*?)```", page.read_text(), re.S):
            Path("mine.py").write_text(code[1])
        if options := re.search(r"```toml\n# small\.toml\n(.*?)```", page.read_text(), re.S):
            Path("small.toml").write_text(options[1])
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "training",
        *(
            pytest.param(name, marks=pytest.mark.campaign)
            for name in ("tutorial", "generating", "command_line", "json", "migrating")
        ),
    ],
)
def test_the_commands_of_a_page_run(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = next(page for page in PAGES if page.stem == name)
    run(["textreel", "prepare", "YOUR_TEXT", "-o", "CORPUS", "--vocabulary", "char"])
    run(["textreel", "train", "CORPUS", "-o", "RUN"])
    for words in commands(page):
        if words[1:2] and words[1] in BY_PAGES and not ELSEWHERE.search(" ".join(words)):
            run(words)
    assert "Traceback" not in capsys.readouterr().err


BY_PAGES = ("prepare", "plan", "inspect", "train", "evaluate", "generate", "export")


def run(words: list[str]) -> None:
    if words[1] in ("prepare", "train"):
        output = words[words.index("-o") + 1]
        shutil.rmtree(output, ignore_errors=True)
    if words[1] == "train":
        words = [*words, *TINY.split()]
    if words[1] == "generate":
        words = [*words, "--tokens", "8"]
    arguments = parse_arguments(build_parser(), words[1:])
    arguments.run(arguments)
