"""Files of other programs that are given as vocabularies: what they are, to say what is wanted."""

import base64
import binascii
import contextlib
import json
import re
from typing import Any

WANTED = (
    "give the tokenizer.json that belongs to it (`save_pretrained` of the library transformers "
    "writes one)"
)
_CONFIG = {"added_tokens_decoder", "model_max_length", "tokenizer_class"}
_SPECIAL = re.compile(r"(additional_special|bos|cls|eos|mask|pad|sep|unk)_tokens?")


def foreign_kind(content: bytes) -> str:
    """Returns what a file is, after `it is …`; empty where it is nothing that is known."""
    if content[:4] in (b"PK\x03\x04", b"GGUF") or content[7:10] == b'\0{"':
        return "a file of a model's weights"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "a model of SentencePiece" if content[:1] == b"\n" else ""
    with contextlib.suppress(ValueError, RecursionError):
        return _kind_of_json(json.loads(text))
    return _kind_of_lines(text.splitlines()[:20])


def _kind_of_json(content: Any) -> str:
    if not isinstance(content, dict) or not content:
        return ""
    if all(type(number) is int for number in content.values()):
        return "a vocab.json: tokens and their ids, without the rules that make them of text"
    if _CONFIG & content.keys():
        return "a tokenizer_config.json: how a tokenizer is used, not what it is"
    if all(map(_SPECIAL.fullmatch, content)):
        return "a special_tokens_map.json: the names of a tokenizer's special tokens"
    if {"config", "vocab"} <= content.keys():
        return "a tekken.json of the library mistral-common"
    if {"architectures", "model_type"} & content.keys():
        return "a config.json: what a model is, not its tokenizer"
    return ""


def _kind_of_lines(lines: list[str]) -> str:
    words = [line.split(" ") for line in lines if not line.startswith("#version")]
    if not words:
        return ""
    if all(len(row) == 2 and row[1].isdecimal() and _is_base64(row[0]) for row in words):
        return "a list of ranks of the library tiktoken, without the rule that cuts words"
    if all(len(row) == 2 for row in words):
        return "a merges.txt: the merges of a BPE without the ids of its tokens"
    if all(len(row) == 1 for row in words) and any(row[0] in ("[PAD]", "[UNK]") for row in words):
        return "a vocab.txt of WordPiece, which loses text"
    return ""


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
