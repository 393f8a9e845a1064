"""Subwords: byte-level BPE (Sennrich et al., 2016; bytes as in GPT-2) <-> ids.

A vocabulary is a `tokenizer.json` of the library `tokenizers`, as this module trains one or as a
published model brings it. It must be lossless: a byte-level BPE with no normalizer but NFC, of
which the normalised text comes back. Text that looks like a special token, such as
`<|endoftext|>`, is encoded as what it is: text.

Where text is cut, the ids on both sides depend on the cut, so the cuts are part of the format: a
piece of a source is encoded in units of up to `UNIT_BYTES`, each of which ends after its last
newline or, where it has none, at a UTF-8 boundary; a row or a line is a piece of its own.

`gigatoken` encodes; `tokenizers`, fifty times slower, checks a sample of every shard.
"""

import functools
import json
import os
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.files import read_text
from pipeline.vocabulary.base import Encoder, Vocabulary

FILE_NAME = "tokenizer.json"
UNIT_BYTES = 2**20
_CHECK_BYTES = 4096
_RENEW_BYTES = 16 * 2**20
_SPARE_IDS = 2**16  # that no token has, as some published models leave free
_SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")


class SubwordVocabulary(Vocabulary):
    """The tokens of a byte-level BPE; U+0000 stands for the separator in decoded text.

    The separator is the first of `<|endoftext|>`, `<|end_of_text|>`, `</s>` and `<eos>` that is
    a special token of the tokenizer, else an id of its own after all others.

    Args:
        content: a `tokenizer.json`.

    Raises:
        UserError: it is none, or would not give every text back.
    """

    kind = "subword"
    file_name = FILE_NAME

    def __init__(self, content: str):
        self._content = content
        tokens, special = _tokens_of(content)
        self.normalizer = "NFC" if _normalizers(json.loads(content)) else ""
        separators = [special[name] for name in _SEPARATORS if name in special]
        self.separator_id = separators[0] if separators else len(tokens)
        self.size = max(len(tokens), self.separator_id + 1)

    @functools.cached_property
    def bytes_of_ids(self) -> list[bytes]:
        """The bytes of every id; U+0000 for the separator."""
        tokens, _ = _tokens_of(self._content)
        tokens += [b""] * (self.size - len(tokens))
        tokens[self.separator_id] = b"\0"
        return tokens

    def to_json(self) -> str:
        """See `Vocabulary.to_json`."""
        return self._content

    def encoder(self) -> Encoder:
        """See `Vocabulary.encoder`."""
        return _UnitEncoder(self)

    def encode_documents(self, documents: list[bytes]) -> list[np.ndarray]:
        """See `Vocabulary.encode_documents`."""
        separator = np.array([self.separator_id], self.dtype)
        ids = []
        for document in documents:
            ids += [self.encode(document), separator]
        return ids

    def encode_unit(self, unit: bytes) -> np.ndarray:
        """Returns the ids of a text that is encoded as a whole, `[n]` of `dtype`."""
        return _fast(self._content).encode(unit).astype(self.dtype)

    def check(self, text: bytes) -> None:
        """See `Vocabulary.check`."""
        text = text[: text.rfind(b"\n", 0, _CHECK_BYTES) + 1] or text[:_CHECK_BYTES]
        sample = text.decode("utf-8", "ignore")
        found = self.encode_unit(sample.encode()).tolist()
        expected = _slow(self._content).encode(sample, add_special_tokens=False).ids
        if found != expected:
            at = next(
                (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b),
                min(len(found), len(expected)),
            )
            start = len(self.decode_bytes(expected[: max(0, at - 3)]))
            raise UserError(
                "gigatoken and tokenizers disagree on this text: "
                f"{sample.encode()[start : start + 60]!r}; use another tokenizer, or report it"
            )
        decoded = self.decode_bytes(found).decode()
        if self.normalizer:
            decoded, sample = (
                unicodedata.normalize("NFC", decoded),
                unicodedata.normalize("NFC", sample),
            )
        if decoded != sample:
            raise UserError(f"the tokenizer does not give this text back: {sample[:60]!r}")

    def decode_bytes(self, ids: Any) -> bytes:
        """See `Vocabulary.decode_bytes`."""
        return b"".join(map(self.bytes_of_ids.__getitem__, np.asarray(ids).tolist()))

    def __getstate__(self) -> dict[str, Any]:
        # The derived table is cheap to build and large to send to a worker.
        return {name: v for name, v in self.__dict__.items() if name != "bytes_of_ids"}


def train_bpe(texts: Iterable[bytes], size: int) -> SubwordVocabulary:
    """Trains a vocabulary of up to `size` ids; equal texts give an equal one.

    Args:
        texts: a sample; bytes that are not UTF-8 are left out.
        size: ids, at least 257: the bytes and the separator, which is id 0.
    """
    _require("tokenizers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[_SEPARATORS[0]],
        initial_alphabet=sorted(_CHARACTERS),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text.decode("utf-8", "ignore") for text in texts), trainer)
    return SubwordVocabulary(tokenizer.to_str())


class _UnitEncoder:
    def __init__(self, vocabulary: SubwordVocabulary):
        self._vocabulary = vocabulary
        self._held = bytearray()
        self._num_bytes = 0  # encoded so far

    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        self._held += block
        ids = []
        while len(self._held) > UNIT_BYTES:
            ids.append(self._encode_unit(_unit_bytes(self._held)))
        if final and self._held:
            ids.append(self._encode_unit(len(self._held)))
        return np.concatenate(ids) if ids else np.zeros(0, self._vocabulary.dtype)

    def _encode_unit(self, num_bytes: int) -> np.ndarray:
        unit = bytes(self._held[:num_bytes])
        try:
            unit.decode()
        except UnicodeDecodeError as error:
            error.start, error.end = error.start + self._num_bytes, error.end + self._num_bytes
            raise
        del self._held[:num_bytes]
        self._num_bytes += num_bytes
        return self._vocabulary.encode_unit(unit)


def _unit_bytes(held: bytearray) -> int:
    """How much of more than `UNIT_BYTES` is one unit."""
    newline = held.rfind(b"\n", 0, UNIT_BYTES)
    if newline >= 0:
        return newline + 1
    boundary = UNIT_BYTES
    while boundary > UNIT_BYTES - 4 and held[boundary] & 0xC0 == 0x80:
        boundary -= 1
    return boundary


def _require(package: str) -> Any:
    try:
        return __import__(package)
    except ImportError as error:
        raise UserError(
            f"subwords need the package {package}: pip install 'textreel[subword]'"
        ) from error


class _Fast:
    """gigatoken's tokenizer, renewed now and then: it remembers every word it has met."""

    def __init__(self, content: str):
        self._content = _without_special(content)
        self._num_bytes = 0
        self._tokenizer = self._make()

    def encode(self, unit: bytes) -> np.ndarray:
        if self._num_bytes > _RENEW_BYTES:
            self._num_bytes, self._tokenizer = 0, self._make()
        self._num_bytes += len(unit)
        return self._tokenizer.encode(unit)

    def _make(self) -> Any:
        return _built(_require("gigatoken").Tokenizer.from_json, self._content)


@functools.lru_cache(maxsize=2)
def _fast(content: str) -> _Fast:
    return _Fast(content)


@functools.lru_cache(maxsize=2)
def _slow(content: str) -> Any:
    return _built(_require("tokenizers").Tokenizer.from_str, _without_special(content))


def _built(make: Callable[[str], Any], content: str) -> Any:
    """Calls a library that is written in Rust: what it raises is of any class, panics too."""
    try:
        return make(content)
    except (KeyboardInterrupt, MemoryError, SystemExit):
        raise
    except BaseException as error:
        raise UserError(f"the tokenizer cannot be used: {str(error)[:200]}") from error


def _without_special(content: str) -> str:
    """The tokenizer without special tokens: nothing in a text is one."""
    return json.dumps({**json.loads(content), "added_tokens": [], "post_processor": None})


def _bytes_to_characters() -> dict[int, str]:
    """GPT-2's table (`bytes_to_unicode`): printable bytes stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }


_CHARACTERS = {character: byte for byte, character in _bytes_to_characters().items()}


@functools.lru_cache(maxsize=2)
def _parsed(content: str) -> tuple[tuple[bytes, ...], dict[str, int]]:
    try:
        tokenizer = json.loads(content)
        model, added = tokenizer["model"], tokenizer["added_tokens"]
        if problem := _find_loss(tokenizer):
            raise UserError(
                f"the tokenizer {problem}; textreel takes byte-level BPE as GPT-2 has it"
            )
        specials = {token["content"]: token["id"] for token in added}
        ids = {**model["vocab"], **specials}
        _check_ids(ids)
        tokens = [b""] * (max(ids.values()) + 1)
        for text, number in ids.items():
            if text in specials:
                tokens[number] = text.encode()
            else:
                tokens[number] = bytes(_CHARACTERS[character] for character in text)
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"no tokenizer.json of a byte-level BPE ({error!r})") from error
    missing = set(_CHARACTERS) - model["vocab"].keys()
    if missing:
        raise UserError(f"the tokenizer lacks {len(missing)} of the 256 bytes; it would lose text")
    return tuple(tokens), specials


def _check_ids(ids: dict[str, Any]) -> None:
    """Refuses ids that are no small numbers: a table of all up to the largest is made."""
    for token, number in ids.items():
        if type(number) is not int or not 0 <= number < 2 * len(ids) + _SPARE_IDS:
            raise UserError(
                f"the token {token[:30]!r} has the id {str(number)[:30]} among {len(ids)} tokens"
            )


def _tokens_of(content: str) -> tuple[list[bytes], dict[str, int]]:
    """The bytes of every id, and the ids of the special tokens."""
    tokens, specials = _parsed(content)
    return list(tokens), specials


def _find_loss(tokenizer: dict[str, Any]) -> str | None:
    """Why decoding would not give the text back, or `None`."""
    if tokenizer["model"]["type"] != "BPE":
        return f"is a {tokenizer['model']['type']} model"
    for kind in _normalizers(tokenizer):
        if kind != "NFC":
            return f"changes text (normalizer {kind})"
    if tokenizer.get("truncation"):
        return "cuts text off (truncation)"
    steps = tokenizer["pre_tokenizer"] or {"type": "none"}
    steps = steps["pretokenizers"] if steps["type"] == "Sequence" else [steps]
    if steps[-1]["type"] != "ByteLevel":
        return "is not byte-level"
    if any(step.get("add_prefix_space") for step in steps):
        return "adds a space before text (add_prefix_space)"
    if any(step.get("behavior") == "Removed" for step in steps):
        return "removes text"
    return None


def _normalizers(tokenizer: dict[str, Any]) -> list[str]:
    """The kinds of normalizers, in order; an empty sequence has none."""
    waiting, kinds = [tokenizer.get("normalizer")], []
    while waiting:
        normalizer = waiting.pop()
        if normalizer and normalizer["type"] == "Sequence":
            waiting += reversed(normalizer["normalizers"])
        elif normalizer:
            kinds.append(normalizer["type"])
    return kinds


def load_tokenizer(path: str | os.PathLike[str]) -> SubwordVocabulary:
    """Reads a `tokenizer.json`.

    Raises:
        UserError: the file cannot be used; it says why.
    """
    try:
        return SubwordVocabulary(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
