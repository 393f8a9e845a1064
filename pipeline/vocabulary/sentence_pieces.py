"""SentencePiece (Kudo and Richardson, 2018): the pieces of a `tokenizer.model` <-> ids.

The model file is the vocabulary, whatever it is (Unigram or BPE, as of Llama 2, Gemma and T5), and
its own library encodes, unit by unit (`units`). A piece stands for its text, with a space for each
`▁`. What text comes back depends on the model:

| the model | the text |
|---|---|
| has a charsmap (`nmt_nfkc`), or removes spaces | comes back as the model normalises it |
| adds a space before text (`add_dummy_prefix`) | has a space at the beginning of each unit |
| does none of this | comes back; `▁` itself, which would be a space, is refused |
| has no byte fallback | must have no character that the model lacks, or gets U+FFFD for it |

Control symbols are never read from text; user-defined ones are, and stand for their text.
"""

import functools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.errors import UserError, first_line
from pipeline.files import read_bytes
from pipeline.vocabulary.units import UnitVocabulary, sample_of

FILE_NAME = "tokenizer.model"
_SPACE = "▁"
_SHOWN = 10  # characters in an error


class SentencePieceVocabulary(UnitVocabulary):
    """The pieces of a SentencePiece model; U+0000 stands for the separator in decoded text.

    The separator is the model's end of a sentence, else an id of its own after all others.

    Args:
        model: a `tokenizer.model`.
        unknown: what to do with characters that the model lacks: an `error`, or to `replace` each
            run of them by U+FFFD. It is no part of the vocabulary's file.

    Raises:
        UserError: it is no such model.
    """

    kind = "sentencepiece"
    file_name = FILE_NAME
    unit_bytes = 2**16  # of 1 MiB at once, the library encodes BPE at less than half the speed

    def __init__(self, model: bytes, *, unknown: str = "error"):
        self.unknown = unknown
        self._model = model
        processor = _processor(model)
        num_pieces = processor.get_piece_size()
        end = processor.eos_id()
        self.separator_id = end if end >= 0 else num_pieces
        self.size = max(num_pieces, self.separator_id + 1)
        try:
            self.normalizer = ", ".join(_changes(model))
            assert len(self.bytes_of_ids) == self.size
        except (IndexError, KeyError, ValueError) as error:
            raise UserError(f"it is damaged ({first_line(error)})") from error

    @functools.cached_property
    def bytes_of_ids(self) -> list[bytes]:
        """The bytes of every id; U+0000 for the separator."""
        processor = _processor(self._model)
        pieces = [_bytes_of(processor, token) for token in range(processor.get_piece_size())]
        pieces += [b""] * (self.size - len(pieces))
        pieces[self.separator_id] = b"\0"
        return pieces

    def to_bytes(self) -> bytes:
        """See `Vocabulary.to_bytes`."""
        return self._model

    def tolerant(self) -> "SentencePieceVocabulary":
        """See `Vocabulary.tolerant`."""
        return SentencePieceVocabulary(self._model, unknown="replace")

    def encode_unit(self, unit: bytes) -> np.ndarray:
        """See `UnitVocabulary.encode_unit`.

        Raises:
            UserError: it has a character that would not come back.
        """
        processor = _processor(self._model)
        ids = np.array(processor.encode(unit), np.int64)
        if self.unknown == "error" and (ids == processor.unk_id()).any():
            raise UserError(_lacks_text(processor, unit))
        if not self.normalizer and self.unknown == "error" and _SPACE.encode() in unit:
            raise UserError(
                f"{_SPACE} (U+2581) is what SentencePiece writes for a space, and would come back "
                "as one: replace it in the text, or use another vocabulary"
            )
        return ids.astype(self.dtype)

    def check(self, text: bytes) -> None:
        """See `Vocabulary.check`."""
        sample = sample_of(text)
        processor = _processor(self._model)
        ids = self.encode_unit(sample.encode())
        if (ids == processor.unk_id()).any():  # replaced, as it was asked for
            return
        expected = processor.normalize(sample) if self.normalizer else sample
        if self.decode_bytes(ids).decode() != expected.replace(_SPACE, " "):
            raise UserError(f"the model does not give this text back: {sample[:60]!r}")


def load_model(path: str | os.PathLike[str], *, unknown: str) -> SentencePieceVocabulary:
    """Reads a `tokenizer.model`.

    Raises:
        UserError: the file cannot be used; it says why.
    """
    try:
        return SentencePieceVocabulary(read_bytes(path), unknown=unknown)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


@functools.lru_cache(maxsize=2)
def _processor(model: bytes) -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise UserError(
            "a SentencePiece model needs a package: pip install 'textreel[sentencepiece]'"
        ) from error
    try:
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model)
        return processor
    except (RuntimeError, ValueError) as error:
        if model[:1].isascii() and model.split(b"\n", 1)[0].endswith(b" 0"):
            raise UserError(
                "it is a list of ranks, as tiktoken has it, no SentencePiece model; take the "
                "tokenizer.json that is published beside it"
            ) from error
        raise UserError(f"it is no SentencePiece model ({first_line(error)})") from error


def _bytes_of(processor: Any, token: int) -> bytes:
    if processor.is_control(token):
        return b""
    if processor.is_unknown(token):
        return "\ufffd".encode()
    piece: str = processor.id_to_piece(token)
    if processor.is_byte(token):
        return bytes([int(piece[1:-1], 16)])  # <0x0A>
    return piece.replace(_SPACE, " ").encode()


def _lacks_text(processor: Any, unit: bytes) -> str:
    text = unit.decode()
    pieces = zip(processor.encode(text), processor.encode(text, out_type=str), strict=True)
    found = {c for token, piece in pieces if token == processor.unk_id() for c in piece}
    characters = sorted(found)
    shown = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters[:_SHOWN])
    more = f" and {len(characters) - _SHOWN} more" if len(characters) > _SHOWN else ""
    return (
        f"characters that the model lacks, which has no byte fallback: {shown}{more}; "
        "`--unknown replace` makes each run of them U+FFFD, and `--vocabulary byte` has an id for "
        "everything"
    )


def _changes(model: bytes) -> list[str]:
    """What a model does to text before it encodes it, by SentencePiece's own names."""
    spec = dict(_fields(dict(_fields(model)).get(3, b"")))
    changes = []
    if spec.get(2):
        changes.append(bytes(spec.get(1, b"")).decode("utf-8", "replace") or "a charsmap")
    if spec.get(3, 1):
        changes.append("add_dummy_prefix")
    if spec.get(4, 1):
        changes.append("remove_extra_whitespaces")
    return changes


def _fields(message: Any) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message, `(number, integer or bytes)`; the last one counts.

    The library reads a model but does not say how it normalises, and its own protobuf module wants
    a newer protobuf than TensorFlow's. In `ModelProto`, 3 is the `NormalizerSpec`; there 1 is the
    name, 2 the charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, both true where not given.
    """
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
            continue
        num_bytes = {1: 8, 5: 4}[kind] if kind != 2 else varint()
        yield number, message[place : place + num_bytes]
        place += num_bytes
