"""Subwords: byte-level BPE (Sennrich et al., 2016; bytes as in GPT-2) <-> ids.

A vocabulary is a `tokenizer.json` of the library `tokenizers`, as `bpe` trains one or as a
published model brings it. It must be lossless (see `tokenizer_json`), but for a normalizer to NFC:
then the normalised text comes back. Text that looks like a special token, such as `<|endoftext|>`,
is encoded as what it is: text. Added tokens that are not special, such as runs of spaces, are found
in text, as the library finds them.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.vocabulary.encoding import Encoding
from pipeline.vocabulary.tokenizer_json import FILE_NAME, read_tokenizer_json
from pipeline.vocabulary.units import UnitVocabulary, sample_of

# Documents that are encoded in one call, whose ids come as a table as wide as the longest.
_SHORT_BYTES = 1024
_BATCH_DOCUMENTS = 1024
_SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")


class SubwordVocabulary(UnitVocabulary):
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
        self._tokenizer = read_tokenizer_json(content)
        self.normalizer = self._tokenizer.normalizer
        special, num_tokens = self._tokenizer.specials, len(self._tokenizer.tokens)
        separators = [special[name] for name in _SEPARATORS if name in special]
        self.separator_id = separators[0] if separators else num_tokens
        self.size = max(num_tokens, self.separator_id + 1)

    @functools.cached_property
    def bytes_of_ids(self) -> list[bytes]:
        """The bytes of every id; U+0000 for the separator."""
        tokens = list(self._tokenizer.tokens)
        tokens += [b""] * (self.size - len(tokens))
        tokens[self.separator_id] = b"\0"
        return tokens

    @property
    def remark(self) -> str:
        """See `Vocabulary.remark`."""
        because = self._encoding.slow_because
        return because and (
            f"{because}: the library tokenizers encodes instead, with the same ids, some fifty "
            "times more slowly (about 3 MB/s a core)"
        )

    def to_json(self) -> str:
        """See `Vocabulary.to_json`."""
        return self._content

    def encode_documents(self, documents: list[bytes]) -> list[np.ndarray]:
        """See `Vocabulary.encode_documents`."""
        separator = np.array([self.separator_id], self.dtype)
        sizes = np.fromiter(map(len, documents), np.int64, len(documents))
        ids = []
        start = 0
        for stop in [*np.flatnonzero(sizes > _SHORT_BYTES).tolist(), len(documents)]:
            for first in range(start, stop, _BATCH_DOCUMENTS):
                last = min(first + _BATCH_DOCUMENTS, stop)
                ids.append(self._encode_short(documents[first:last]))
            if stop < len(documents):
                ids += [self.encode(documents[stop]), separator]
            start = stop + 1
        return ids

    def _encode_short(self, documents: list[bytes]) -> np.ndarray:
        """Returns the ids of short documents, each with its separator, `[n]` of `dtype`."""
        found = self._encoding.encode_many(documents)
        if found is None:
            ids = [self.encode(document) for document in documents]
            ends = np.cumsum([len(each) for each in ids])
            return np.insert(np.concatenate(ids), ends, self.separator_id)
        table, counts = found
        # [documents, most ids of one], and one more for the separator.
        has_id = np.arange(table.shape[1] + 1) < counts[:, None]
        table = np.pad(table, ((0, 0), (0, 1)))
        if not self.normalizer:
            num_bytes = (self._lengths[table] * has_id).sum(axis=1)
            for index in np.flatnonzero(num_bytes != np.fromiter(map(len, documents), np.int64)):
                self._check_back(table[index, : counts[index]], documents[index].decode())
        table[np.arange(len(table)), counts] = self.separator_id
        has_id[np.arange(len(table)), counts] = True
        return table[has_id].astype(self.dtype)

    def encode_unit(self, unit: bytes) -> np.ndarray:
        """See `UnitVocabulary.encode_unit`.

        Raises:
            UserError: they do not give it back.
        """
        ids = self._encoding.encode(unit)
        if not self.normalizer and self._lengths[ids].sum() != len(unit):
            self._check_back(ids, unit.decode())
        return ids.astype(self.dtype)

    def check(self, text: bytes) -> None:
        """See `Vocabulary.check`."""
        sample = sample_of(text)
        found = self._encoding.encode(sample.encode()).tolist()
        expected = self._encoding.reference(sample)
        if found != expected:
            same = _num_same(found, expected)
            start = len(self.decode_bytes(expected[: max(0, same - 3)]))
            raise UserError(
                "gigatoken and tokenizers disagree on this text: "
                f"{sample.encode()[start : start + 60]!r}; use another tokenizer, or report it"
            )
        self._check_back(found, sample)

    def _check_back(self, ids: Any, text: str) -> None:
        """Refuses ids that do not give a text back."""
        decoded = self.decode_bytes(ids).decode("utf-8", "replace")
        if self.normalizer:
            decoded, text = (unicodedata.normalize("NFC", each) for each in (decoded, text))
        if decoded != text:
            start = max(0, _num_same(decoded, text) - 3)
            raise UserError(
                f"the tokenizer does not give this text back: {text[start : start + 60]!r}"
            )

    @functools.cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self._content, self._tokenizer)

    @functools.cached_property
    def _lengths(self) -> np.ndarray:
        """The bytes of every id."""
        return np.fromiter(map(len, self._tokenizer.tokens), np.int64)

    def __getstate__(self) -> dict[str, Any]:
        # What is derived is another library's, or cheap to build and large to send to a worker.
        derived = ("bytes_of_ids", "_encoding", "_lengths")
        return {name: value for name, value in self.__dict__.items() if name not in derived}


def _num_same(found: Sequence[Any], expected: Sequence[Any]) -> int:
    """How many items are equal before the first difference."""
    pairs = enumerate(zip(found, expected, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(found), len(expected)))
