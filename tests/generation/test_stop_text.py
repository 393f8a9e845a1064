"""stop_text: the text ends before a stop text, wherever the pieces are cut."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.generation.stop_text import StopFilter


def until(text: str, stops: tuple[str, ...]) -> str:
    """The slow oracle: up to the stop text that is complete first, of two the longer one."""
    ends = [(end, -len(stop)) for end in range(len(text) + 1) for stop in stops
            if text[:end].endswith(stop)]  # fmt: skip
    return text[: sum(min(ends))] if ends else text


@given(
    pieces=st.lists(st.text("ab", max_size=4), max_size=8),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3).map(tuple),
)
def test_the_text_that_passes_is_that_of_the_oracle_however_it_is_cut(
    pieces: list[str], stops: tuple[str, ...]
) -> None:
    text = "".join(pieces)
    passing = StopFilter(stops)
    passed = ""
    for piece in pieces:
        passed += passing.feed(piece)
        # What is held back could still become a stop text, and nothing else could.
        seen = text[: len(passed)] if passing.is_over else "".join(pieces)
        assert until(text, stops).startswith(passed)
        assert seen.startswith(passed)
    passed += passing.feed("", final=True)
    assert passed == until(text, stops)
    assert passing.is_over == any(stop in text for stop in stops)


def test_no_more_is_held_back_than_may_begin_a_stop_text() -> None:
    passing = StopFilter(("end", "enough"))
    assert [passing.feed(piece) for piece in ("a e", "nv", "eno", "u", "en", "d of")] == [
        "a ",
        "env",
        "",
        "",
        "enou",
        "",
    ]
    assert passing.is_over
    assert passing.feed("more", final=True) == ""


def test_without_stop_texts_everything_passes_at_once() -> None:
    passing = StopFilter(())
    assert [passing.feed(piece) for piece in ("a", "", "bc")] == ["a", "", "bc"]
    assert not passing.is_over
