"""Encoding with a `tokenizer.json`, by two libraries: text -> ids.

`tokenizers`, whose files these are, knows all of them; its ids are the right ones. `gigatoken` is
some fifty times as fast, and encodes where it is known to give the same: `Encoding.slow_because`
says where it is not. Text that `gigatoken` may see otherwise, by its normalization, its characters
or an added token in it, goes to `tokenizers`, some kilobytes at a time; so the ids never depend on
who encodes.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.vocabulary.newest_characters import has_newest_characters
from pipeline.vocabulary.tokenizer_json import TokenizerJson

_MEASURE_BYTES = 4 * 2**20  # of text, from one look at the memory to the next
_SPARE_BYTES = 16 * 2**20
# Whatever the rules for cutting words tell apart.
_PROBE = """It's we'LL I'm 'tis don’t x'd\u017f they'VE 'round  the\tend \n\n  Next\r\n\r\n \tline
naïve Straße ΩMEGA Ǆungla ǅ ʰa ªb e\u0301 \u0301x日本語テキスト、한국어 สวัสดีำ हिन्दी العربية 漢字
1 12 123 1234 1,234.5 ½ x² Ⅻ ٣٤٥ ①② a1b2 _snake_case camelCase HTTPServer iPhone17 #include <a/b>
\\path C++ a/b//c... !? [x] {y} $5 €6 (c) © ™ 😀👩\u200d👧🇩🇪 \u00a0a\u2003b\u3000c\u2028d\u0085e
\x00\x1f\x7f\xad\ufeff\u200b\ue000\ufffd   \n\t\n  trailing    """
# A space between ASCII letters: every pattern that gigatoken knows begins a word with it, and ends
# one before it as it would at the end of the text; so no merge goes over it.
_WORD_END = re.compile(rb"(?<=[a-z])(?= [a-z])")
_WORDS_PROBE = "it's we'll a b\n c d e  f g\t h i 1 j k. l m/n o\r\n p q\né r x日 s t don't go x"
_PART_BYTES = 4096  # of a unit of which only a part is for `tokenizers`


class Encoding:
    """A tokenizer that is ready to encode.

    Attributes:
        slow_because: why `tokenizers` encodes; empty where `gigatoken` does.
    """

    def __init__(self, content: str, tokenizer: TokenizerJson):
        """Loads both libraries' tokenizers, which takes a second for the largest.

        Args:
            content: a `tokenizer.json`.
            tokenizer: what it says.

        Raises:
            UserError: a library is missing, or cannot read it.
        """
        self._added = [token["content"] for token in tokenizer.added]
        self._normalizer = tokenizer.normalizer
        self._doubtful = [token.encode() for token in sorted(_doubtful(tokenizer)) if token]
        self._slow = _loaded_slow(content, tokenizer)
        self._fast: _Gigatoken | None = None
        self.slow_because = _otherwise(tokenizer)
        if not self.slow_because:
            try:
                self._fast = _Gigatoken(_for_gigatoken(content, tokenizer))
            except _UnknownError as error:
                self.slow_because = str(error)
        if self._fast and self._encode_whole(_PROBE.encode()).tolist() != self.reference(_PROBE):
            self._fast, self.slow_because = None, "gigatoken encodes some text otherwise"
        parts = _parts(_WORDS_PROBE.encode(), 1)
        ids = [number for part in parts for number in self.reference(part.decode())]
        has_parts = ids == self.reference(_WORDS_PROBE) and not any(
            _WORD_END.search(token.encode()) for token in (*self._added, *tokenizer.specials)
        )
        self._has_parts = has_parts and self._fast is not None

    def encode(self, unit: bytes) -> np.ndarray:
        """Returns the ids of a text that is encoded as a whole, `[n]` integers."""
        if not self._is_doubtful(unit):
            return self._encode_fast(unit)
        if not self._has_parts:
            return self._encode_slow(unit)
        return np.concatenate([self._encode_whole(part) for part in _parts(unit, _PART_BYTES)])

    def _is_doubtful(self, unit: bytes) -> bool:
        """Whether `tokenizers` must encode at least some of it."""
        return (
            self._fast is None
            or has_newest_characters(unit)
            or any(token in unit for token in self._doubtful)
        )

    def _encode_whole(self, unit: bytes) -> np.ndarray:
        return self._encode_slow(unit) if self._is_doubtful(unit) else self._encode_fast(unit)

    def _encode_slow(self, unit: bytes) -> np.ndarray:
        return np.array(self._reference_of_unit(unit.decode()), np.uint32)

    def _encode_fast(self, unit: bytes) -> np.ndarray:
        assert self._fast is not None
        if self._normalizer and not unit.isascii():
            text = unit.decode()
            # Python's tables are newer: what is normalised by them is so by older ones.
            if not unicodedata.is_normalized("NFC", text):
                normalized = self._slow.normalizer.normalize_str(text)
                if any(token in text or token in normalized for token in self._added):
                    return self._encode_slow(unit)
                unit = normalized.encode()
        return self._fast.encode(unit)

    def encode_many(self, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the ids of texts, each encoded as a whole; `None` where one needs `encode`.

        Returns:
            The ids, `[texts, n]`, and how many of each row are some, `[texts]`.

        Raises:
            UnicodeDecodeError: one is not UTF-8.
        """
        joined = b"\0".join(texts)
        decoded = joined.decode()
        if self._is_doubtful(joined) or (
            self._normalizer and not unicodedata.is_normalized("NFC", decoded)
        ):
            return None
        assert self._fast is not None
        return self._fast.encode_many(texts)

    def reference(self, text: str) -> list[int]:
        """Returns the ids that `tokenizers` gives, in this thread alone."""
        return list(self._slow.encode(text, add_special_tokens=False).ids)

    def _reference_of_unit(self, text: str) -> list[int]:
        # Three times as fast: without the places of the tokens.
        (encoded,) = self._slow.encode_batch_fast([text], add_special_tokens=False)
        return list(encoded.ids)


def _parts(unit: bytes, part_bytes: int) -> Iterator[bytes]:
    """Cuts a unit into parts of so many bytes or more, at ends of words."""
    start = 0
    while end := _WORD_END.search(unit, start + part_bytes):
        yield unit[start : end.start()]
        start = end.start()
    yield unit[start:]


class _UnknownError(Exception):
    """What gigatoken says of a tokenizer that it does not know."""


class _Gigatoken:
    """gigatoken's tokenizer, made anew now and then: it remembers every word that it has met."""

    def __init__(self, content: str):
        self._content = content
        self._tokenizer: Any = None
        self._num_bytes = self._next_look = self._resident_bytes = 0
        self._make()

    def encode(self, unit: bytes) -> np.ndarray:
        self._look(len(unit))
        return self._tokenizer.encode(unit)

    def encode_many(self, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        self._look(sum(map(len, texts)))
        # Of a list, it would import awkward-array: 54 MB, and threads, with which none may fork.
        source = require("gigatoken").BytesSource(texts)
        return self._tokenizer.encode_batch_padded(source, 0, parallel=False)

    def _look(self, num_bytes: int) -> None:
        """Makes it anew where it has grown, before so many bytes more."""
        if self._num_bytes > self._next_look:
            self._next_look = self._num_bytes + _MEASURE_BYTES
            # Making a large one takes long, and it may grow more.
            if self._grown_bytes() > _SPARE_BYTES + 8 * len(self._content):
                self._make()
        self._num_bytes += num_bytes

    def _grown_bytes(self) -> int:
        """By how much the process has grown meanwhile; half the text, where that is not known."""
        resident = _resident_bytes()
        return self._num_bytes // 2 if resident is None else resident - self._resident_bytes

    def _make(self) -> None:
        make = require("gigatoken").Tokenizer.from_json
        self._tokenizer = None  # before the next one is there
        try:
            self._tokenizer = make(self._content)
        except (KeyboardInterrupt, MemoryError, SystemExit):
            raise
        except BaseException as error:  # Rust's panics are no `Exception`
            raise _UnknownError(f"gigatoken does not know it ({_said(error)})") from error
        self._resident_bytes = _resident_bytes() or 0
        self._num_bytes, self._next_look = 0, _MEASURE_BYTES


def _loaded_slow(content: str, tokenizer: TokenizerJson) -> Any:
    """The tokenizer of `tokenizers`, which reads no special tokens from text."""
    make = require("tokenizers").Tokenizer.from_str
    try:
        slow = make(content)
    except (KeyboardInterrupt, MemoryError, SystemExit):
        raise
    except BaseException as error:
        raise UserError(f"the library tokenizers cannot read it ({_said(error)})") from error
    slow.encode_special_tokens = True
    slow.no_truncation()
    slow.no_padding()
    for token in tokenizer.added:
        found = slow.token_to_id(token["content"])
        if found != token["id"] and token["content"]:
            raise UserError(
                f"the added token {token['content'][:30]!r} has the id {token['id']} in it, but "
                f"{found} for the library tokenizers"
            )
    return slow


def _for_gigatoken(content: str, tokenizer: TokenizerJson) -> str:
    """The tokenizer without special tokens and normalizer. The model, nearly all, is not copied."""
    start, stop = tokenizer.model
    before = {"type": "Sequence", "pretokenizers": tokenizer.steps}
    steps = tokenizer.steps[0] if len(tokenizer.steps) == 1 else before
    return (
        f'{{"added_tokens": {json.dumps(tokenizer.added)}, "pre_tokenizer": {json.dumps(steps)}, '
        f'"model": {content[start:stop]}}}'
    )


def _otherwise(tokenizer: TokenizerJson) -> str:
    """Why gigatoken, which looks at less of the file, would give other ids; mostly empty."""
    *cuts, last = tokenizer.steps
    kinds = [step["type"] for step in cuts]
    if last["type"] != "ByteLevel" or set(kinds) - {"Split"}:
        names = ", ".join(step["type"] for step in tokenizer.steps)
        return f"gigatoken does not know its pre-tokenizers ({names})"
    if bool(cuts) == last.get("use_regex", True):
        return "gigatoken does not know its pre-tokenizer (ByteLevel, use_regex)"
    for cut in cuts:
        if (cut["behavior"], bool(cut.get("invert"))) not in (
            ("Isolated", False),
            ("Removed", True),
        ):
            return f"gigatoken does not know its pre-tokenizer (Split, {cut['behavior']})"
    if tokenizer.has_foreign_tokens:
        return "gigatoken does not know tokens that are no bytes"
    return ""


def _doubtful(tokenizer: TokenizerJson) -> set[str]:
    """The added tokens that gigatoken may find elsewhere: it has one rule for all.

    `tokenizers` looks for those first that are not `normalized`, of special tokens too, though it
    leaves these as they are; and it looks at what stands beside a `single_word`.
    """
    normalized: list[str] = []
    others: list[str] = []
    for token in tokenizer.added:
        (normalized if token.get("normalized", True) else others).append(token["content"])
    specials = list(tokenizer.specials)
    alone = {token["content"] for token in tokenizer.added if token.get("single_word")}
    changed = {c for c in normalized if tokenizer.normalizer and not c.isascii()}
    changed |= {unicodedata.normalize("NFC", content) for content in changed}
    return (
        alone
        | changed
        | _meeting(normalized, others + specials)
        | _meeting(others, normalized + specials)
    )


def _meeting(contents: list[str], others: list[str]) -> set[str]:
    """Those of some contents that may overlap with one of the others in a text."""
    starts = {other[:stop] for other in others for stop in range(1, len(other) + 1)}
    ends = {other[start:] for other in others for start in range(len(other))}
    joined = "\0".join(others)
    return {
        content
        for content in contents
        if content in joined
        or any(content[start:] in starts for start in range(len(content)))
        or any(content[:stop] in ends for stop in range(1, len(content) + 1))
        or any(other in content for other in others)
    }


def _resident_bytes() -> int | None:
    """The memory of this process, `None` where the system does not tell it in this way."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def require(package: str) -> Any:
    """Imports a package.

    Raises:
        UserError: it is not installed.
    """
    try:
        return __import__(package)
    except ImportError as error:
        raise UserError(
            f"subwords need the package {package}: pip install 'textreel[subword]'"
        ) from error


def _said(error: BaseException) -> str:
    """The beginning of what a library says."""
    said = str(error).partition("\n")[0]
    return said[:60] + "…" if len(said) > 60 else said
