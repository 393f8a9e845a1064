"""Characters that libraries of different age see as different."""

import pytest

from pipeline.vocabulary.newest_characters import has_newest_characters


@pytest.mark.parametrize(
    ("first", "last"), [(0x088F, 0x088F), (0x0C5C, 0x0C5C), (0x1ACF, 0x1AF0), (0x323B0, 0x3FC3F)]
)
def test_they_are_found_wherever_they_stand(first: int, last: int) -> None:
    for point in (first, last):
        for before, after in (("", ""), ("a", "é"), ("日本", "語"), ("𝄞", "😀")):
            assert has_newest_characters(f"{before}{chr(point)}{after}".encode())
    for point in (first - 1, last + 1):
        assert not has_newest_characters(f"a{chr(point)}é".encode())


def test_no_other_script_is_taken_for_them() -> None:
    """Each is in a block of 64 with one of them, or in none."""
    texts = (
        "",
        "plain",
        "naïve",
        "తెలుగు",
        "ಕನ್ನಡ",
        "العربية",
        "日本語",
        "한국어",
        "𝄞 😀 \U0010ffff",
        "\x7f\x80\u07ff\u0800",
    )
    for text in texts:
        assert not has_newest_characters(text.encode()), text
        assert has_newest_characters((text + "\u0c5c").encode())
