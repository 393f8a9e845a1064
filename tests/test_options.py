"""Options: one declaration -> a field, a flag with its default, and a rule."""

import argparse
import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from pipeline.errors import OptionError
from pipeline.options import (
    add_flags,
    check_choices,
    check_int,
    check_number,
    check_text,
    from_flags,
    option,
    options_text,
)


def pair(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    corpus: str = option("where it lies", metavar="DIR", short="-c")
    place: str = option("taken as it stands", default="here", metavar="PLACE", positional=True)
    steps: int = option("how many", default=2000, parse=int)
    rate: float | None = option("how fast", default=None, parse=float)
    kind: str = option("which", default="lstm", choices=("lstm", "gru"))
    shares: dict[str, float] = option("of what", default={"a": 0.9, "b": 0.1}, parse=eval)
    pair: tuple[float, ...] = option("of two", default=(0.5, 1.0), parse=pair, metavar="X,Y")
    quiet: bool = option("says nothing", default=False, identity=False)
    zero: int = option("may be nothing", default=0, parse=int)


def parser_of(**options: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="x")
    add_flags(parser, Example, **options)
    return parser


def parsed(*arguments: str, **options: Any) -> Example:
    return from_flags(Example, parser_of(**options).parse_args(arguments))


def test_without_flags_the_defaults_are_those_of_the_class() -> None:
    assert parsed("--corpus=c") == Example(corpus="c")


def test_every_flag_sets_its_option() -> None:
    assert parsed(
        "--corpus=c", "--steps=3", "--rate=0.5", "--kind=gru", "--shares={'z': 1}", "--pair=1,2",
        "--quiet", "--zero=7",
    ) == Example(
        corpus="c", steps=3, rate=0.5, kind="gru", shares={"z": 1}, pair=(1.0, 2.0), quiet=True,
        zero=7,
    )  # fmt: skip


def test_an_option_may_have_no_flag_or_two() -> None:
    assert parsed("-c", "c", "there") == Example(corpus="c", place="there")


def test_what_a_file_turns_on_a_flag_turns_off() -> None:
    arguments = parser_of().parse_args(["--corpus=c", "--no_quiet", "--steps=3"])
    given = {"quiet": True, "zero": 5, "steps": 4}
    assert from_flags(Example, arguments, given) == Example(corpus="c", steps=3, zero=5)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(OptionError, match=r"^`corpus` must be given$"):
        parsed()


def test_help_shows_what_a_user_would_type() -> None:
    shown = " ".join(parser_of().format_help().split())
    for part in (
        "-c DIR, --corpus DIR where it lies --steps N how many (default: 2000)",
        "--rate N how fast --kind {lstm,gru} which (default: lstm)",
        "of what (default: a=0.9,b=0.1)",
        "of two (default: 0.5,1.0)",
        "--quiet says nothing --zero N may be nothing (default: 0)",
    ):
        assert part in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus=c", "--steps=x"], "argument --steps: must be an integer, got 'x'"),
        (["--corpus=c", "--rate=x"], "argument --rate: must be a number, got 'x'"),
        (["--corpus=c", "--pair=x"], "argument --pair: must be of the form X,Y, got 'x'"),
        (["--corpus=c", "--kind=rnn"], "argument --kind: invalid choice: 'rnn'"),
        (["--corpus=c", "--quiet=1"], "argument --quiet: ignored explicit argument '1'"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_command_may_have_defaults_of_its_own_and_leave_options_out() -> None:
    defaults = {"corpus": "here", "steps": 5}
    parser = parser_of(defaults=defaults, leave_out=("kind", "pair"))
    shown = parser.format_help()
    assert "--kind" not in shown
    assert "(default: here)" in shown
    arguments = parser.parse_args(["--steps=6"])
    arguments.unknown = "is ignored"
    given = from_flags(Example, arguments, defaults, kind="gru", pair=(1.0,))
    assert given == Example(corpus="here", steps=6, kind="gru", pair=(1.0,))


def test_a_default_dictionary_is_copied() -> None:
    Example(corpus="c").shares["a"] = 7
    assert Example(corpus="c").shares == {"a": 0.9, "b": 0.1}


def test_what_determines_a_run_is_marked() -> None:
    identity = {field.name: field.metadata["identity"] for field in dataclasses.fields(Example)}
    assert [name for name, is_identity in identity.items() if not is_identity] == ["quiet"]


@dataclasses.dataclass(frozen=True)
class Value:
    x: Any
    y: Any = 5


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_an_integer_of_another_type_becomes_an_int(value: Any) -> None:
    checked = Value(value)
    check_int(checked, 3, "x", "y")
    assert (checked.x, type(checked.x)) == (3, int)


@pytest.mark.parametrize(
    "value", [2, -1, True, False, np.bool_(True), 3.0, np.float64(3), "3", None, [3]]
)
def test_what_is_no_integer_or_too_small_is_refused(value: Any) -> None:
    with pytest.raises(OptionError) as raised:
        check_int(Value(value), 3, "y", "x")
    assert str(raised.value) == f"`x` must be an integer of at least 3, got {value!r}"


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_is_no_integer_though_python_says_so(value: bool) -> None:
    with pytest.raises(OptionError, match=f"`x` must be an integer of at least 0, got {value}"):
        check_int(Value(value), 0, "x")


def test_none_is_allowed_where_it_is_said() -> None:
    checked = Value(None)
    check_int(checked, 3, "x", or_none=True)
    assert checked.x is None
    with pytest.raises(OptionError, match="`x` must be an integer of at least 3, got 2"):
        check_int(Value(2), 3, "x", or_none=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1])
def test_a_number_is_finite_and_keeps_its_rule(value: float) -> None:
    with pytest.raises(OptionError) as raised:
        check_number(Value(value), "x", "above 0", lambda number: number > 0)
    assert str(raised.value) == f"`x` must be above 0, got {value!r}"
    check_number(Value(1e-9), "x", "above 0", lambda number: number > 0)


@pytest.mark.parametrize("value", ["", None, {}, ()])
def test_what_is_empty_is_refused(value: Any) -> None:
    with pytest.raises(OptionError) as raised:
        check_text(Value(value), "y", "x")
    assert str(raised.value) == f"`x` must not be empty, got {value!r}"
    check_text(Value(" "), "x", "y")


def test_a_value_is_one_of_the_choices() -> None:
    check_choices(Example(corpus="anything", kind="gru"))
    with pytest.raises(OptionError, match="`kind` must be one of lstm, gru, got 'rnn'"):
        check_choices(Example(corpus="c", kind="rnn"))


def test_options_are_short_for_people() -> None:
    options = {"splits": {"a": 0.123456, "b": 1.0}, "vocabulary": f"blake3:{'ab' * 32}", "x": None}
    assert options_text(options) == "splits a=0.1235,b=1, vocabulary blake3:abababababab"
