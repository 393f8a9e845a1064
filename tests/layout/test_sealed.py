"""Files that carry their own digest."""

import json
from pathlib import Path

import pytest
from blake3 import blake3

from pipeline import UserError
from pipeline.layout.sealed import digest_of, first_line, is_unchanged, read_sealed, sealed

CONTENT = {"a": [1, {"b": None}], "é": "\n"}


def test_the_first_line_is_the_digest_of_the_rest(tmp_path: Path) -> None:
    text = sealed(CONTENT)
    line, _, rest = text.partition("\n")
    assert line == first_line(blake3(rest.encode()).hexdigest())
    assert line == first_line(digest_of(CONTENT))
    assert json.loads(text) == {"blake3": digest_of(CONTENT), **CONTENT}
    (tmp_path / "x.json").write_text(text)
    assert read_sealed(tmp_path / "x.json") == CONTENT


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"blake3": "",\n}'])
def test_anything_else_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.json is damaged"):
        read_sealed(tmp_path / "x.json")


def test_a_sealed_text_that_is_no_json_is_damaged(tmp_path: Path) -> None:
    for rest in ("[" * 10**6, '"a": ' + "9" * 5000 + "}", "x"):
        digest = blake3(rest.encode()).hexdigest()
        (tmp_path / "x.json").write_text(first_line(digest) + "\n" + rest)
        with pytest.raises(UserError, match="no valid JSON"):
            read_sealed(tmp_path / "x.json")


def test_a_look_at_the_first_line_says_whether_a_file_is_still_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert not is_unchanged(str(path), digest_of(CONTENT))
    path.write_text(sealed(CONTENT))
    assert is_unchanged(str(path), digest_of(CONTENT))
    path.write_text(sealed({"a": 2}))
    assert not is_unchanged(str(path), digest_of(CONTENT))
