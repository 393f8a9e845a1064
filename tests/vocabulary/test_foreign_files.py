"""Files of other programs that are given as vocabularies: the error says what they are."""

import json
import struct
from pathlib import Path

import pytest
from corpora import write
from terminal import textreel

from pipeline import UserError
from pipeline.vocabulary.foreign_files import WANTED
from pipeline.vocabulary.loading import load_vocabulary

WEIGHTS = b'{"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
FILES = [
    ("vocab.json", b'{"!": 0, "\\"": 1, "\\u0120the": 2}', r"a vocab\.json"),
    ("merges.txt", "#version: 0.2\nĠ t\nĠ a\nh e\n".encode(), r"a merges\.txt"),
    ("vocab.bpe", "Ġ t\nĠ a\n".encode(), r"a merges\.txt"),
    ("vocab.txt", b"[PAD]\n[unused0]\n[UNK]\nthe\n", r"a vocab\.txt of WordPiece"),
    ("cl100k.tiktoken", b"IQ== 0\nIg== 1\nIw== 2\n", "a list of ranks of .* tiktoken"),
    (
        "tokenizer_config.json",
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>"}).encode(),
        r"a tokenizer_config\.json",
    ),
    (
        "special_tokens_map.json",
        json.dumps({"bos_token": {"content": "<s>"}, "additional_special_tokens": []}).encode(),
        r"a special_tokens_map\.json",
    ),
    (
        "tekken.json",
        json.dumps({"config": {"pattern": ""}, "vocab": [{"token_str": '"model": {'}]}).encode(),
        r"a tekken\.json",
    ),
    ("config.json", b'{"architectures": ["GPT2LMHeadModel"]}', r"a config\.json"),
    ("m.safetensors", struct.pack("<Q", len(WEIGHTS)) + WEIGHTS + bytes(4), "model's weights"),
    ("pytorch_model.bin", b"PK\x03\x04" + bytes(range(256)), "model's weights"),
    ("model.gguf", b"GGUF" + bytes(range(256)), "model's weights"),
]


@pytest.mark.parametrize(("name", "content", "message"), FILES, ids=[name for name, *_ in FILES])
def test_it_is_named_and_so_is_what_is_wanted(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(UserError, match=rf"{name}: it is .*{message}") as error:
        load_vocabulary(path)
    assert str(error.value).endswith(WANTED)
    assert "damaged" not in str(error.value)


def test_the_command_says_so(tmp_path: Path) -> None:
    write(tmp_path / "merges.txt", "#version: 0.2\nt h\n")
    write(tmp_path / "a.txt", "text")
    arguments = ["prepare", "a.txt", "--output", "c", "--vocabulary", "merges.txt"]
    result = textreel(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("textreel: error: merges.txt: it is a merges.txt: the merges")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"some prose here\n", b"[]", b"{}", b"\xff\xfe"])
def test_what_is_nothing_known_is_no_vocabulary(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "x", content)
    with pytest.raises(UserError, match=r"x is damaged|x: "):
        load_vocabulary(path)
