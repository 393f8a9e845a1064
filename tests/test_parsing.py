"""Parsing: what a mistyped command line says, and what of it is taken after all."""

import re

import pytest

from pipeline.parsing import CommandParser, integer, near_miss


def parser() -> CommandParser:
    top = CommandParser(prog="reel")
    commands = top.add_commands()
    train = commands.add_parser("train", help="train")
    train.add_argument("corpus", metavar="CORPUS")
    train.add_argument("-o", "--output", required=True, metavar="RUN", help="where to")
    train.add_argument("--seq_len", type=integer, help="how long")
    train.add_argument("--kind", choices=("lstm", "gru"), help="which")
    commands.add_parser("trace", help="trace")
    return top


def said(*arguments: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return str(err).splitlines()


def test_a_dash_is_as_good_as_an_underscore() -> None:
    for flags in (["--seq-len=8"], ["--seq-len", "8"], ["--seq_len", "8"]):
        arguments = parser().parse_args(["train", "c-d", "-o", "r-s", *flags])
        assert (arguments.seq_len, arguments.corpus, arguments.output) == (8, "c-d", "r-s")
    assert arguments.parser.prog == "reel train"


TRAIN = ["train", "c", "-o", "r"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "there is no command 'trian'; did you mean train?"),
        (["xyz"], "there is no command 'xyz', only train, trace"),
        ([*TRAIN, "--sqe_len", "8"], "there is no option --sqe_len; did you mean --seq_len?"),
        ([*TRAIN, "--sqe-len=8"], "there is no option --sqe_len; did you mean --seq_len?"),
        ([*TRAIN, "--xyz"], "there is no option --xyz"),
        ([*TRAIN, "--seq", "8"], "there is no option --seq"),  # no abbreviations
        ([*TRAIN, "--verbosity", "1"], "there is no option --verbosity"),  # nor absl's here
        ([*TRAIN, "more"], "unexpected argument 'more'"),
        ([*TRAIN, "--seq_len", "x"], "--seq_len must be an integer, got 'x'"),
        ([*TRAIN, "--seq_len"], "--seq_len: expected one argument"),
        (
            [*TRAIN, "--kind", "lsmt"],
            "--kind must be one of lstm, gru, got 'lsmt'; did you mean lstm?",
        ),
        (["train", "c"], "the following arguments are required: -o/--output"),
    ],
)
def test_a_mistake_takes_a_line_and_its_usage_two(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error, usage, more = said(*arguments, capsys=capsys)
    assert error.startswith(f"textreel: error: {message}")
    assert re.fullmatch(r"usage: reel( train CORPUS -o RUN|) (COMMAND… )?\[OPTION…\]", usage)
    assert re.fullmatch(r"help:  reel( train)? --help", more)


def test_help_has_no_flags_of_absl() -> None:
    top = parser()
    assert top.parse_args(["--verbosity=0", *TRAIN]).corpus == "c"
    assert "helpfull" not in top.format_help()
    assert "verbosity" not in top.format_help()


def test_options_are_named_as_they_are_typed() -> None:
    typed = parser().parse_args(TRAIN).parser.typed_text
    assert typed("`seq_len` of `corpus` into `--output`; `x` by `textreel verify`") == (
        "--seq_len of CORPUS into --output; `x` by `textreel verify`"
    )


def test_a_near_miss_is_near() -> None:
    assert near_miss("generat", ["evaluate", "generate"]) == "generate"
    assert near_miss("x", ["evaluate", "generate"]) is None
