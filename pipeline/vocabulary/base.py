"""Vocabulary as all others see it: symbols <-> ids, whatever a symbol is."""

import codecs
import functools
import os
from typing import Any, Protocol

import numpy as np
from blake3 import blake3

from pipeline.files import join, whole_file

FILE_NAME = "vocabulary.json"


def token_dtype(size: int) -> np.dtype[Any]:
    """The smallest of uint8, uint16 and int32 (little-endian) that holds `size` ids.

    Not uint32: TensorFlow, hence TFDS, decodes no such bytes; no vocabulary comes near 2^31 ids.
    """
    return np.dtype("u1" if size <= 2**8 else "<u2" if size <= 2**16 else "<i4")


class Encoder(Protocol):
    """Encodes one stream of UTF-8 text that comes in blocks, cut anywhere."""

    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        """Returns the ids of `block`, `[n]` of the vocabulary's dtype.

        Raises:
            UnicodeDecodeError: bytes that are not UTF-8. `start` counts from the
                beginning of the stream.
            UserError: a character that the vocabulary lacks.
        """


class Decoder(Protocol):
    """Decodes one stream of ids that come a few at a time."""

    def decode(self, ids: Any, *, final: bool = False) -> str:
        """Returns the text that is complete after `ids`; holds back an unfinished character."""


class Vocabulary:
    """What all kinds share. Use one of the kinds that `loading` knows.

    Attributes:
        kind: its name.
        file_name: where it stands in a corpus and in a run.
        size: the number of ids.
        dtype: the little-endian dtype of a stored token.
        separator_id: the id that ends every document.
        normalizer: what it makes of a text before it encodes it, such as `NFC`, which then
            comes back in the text's place; empty where every text comes back.
        fingerprint: BLAKE3 of the vocabulary's file, in hex. Equal fingerprints mean
            equal ids for equal text.
    """

    kind: str
    size: int
    separator_id: int = 0
    normalizer: str = ""
    file_name = FILE_NAME

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a stored token."""
        return token_dtype(self.size)

    @functools.cached_property
    def fingerprint(self) -> str:
        """BLAKE3 in hex."""
        return blake3(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Returns the content of the vocabulary's file."""
        return self.to_json().encode()

    @property
    def remark(self) -> str:
        """What is odd about how it encodes, such as why that is slow; mostly empty.

        To ask for it loads what encoding needs, so that workers that are forked have it.
        """
        return ""

    def to_json(self) -> str:
        """Returns the same as text, of the kinds whose file is JSON."""
        raise NotImplementedError

    def encoder(self) -> Encoder:
        """Returns an encoder for one stream of text."""
        raise NotImplementedError

    def decode_bytes(self, ids: Any) -> bytes:
        """Returns the UTF-8 bytes (`byte`: whatever bytes) of `ids`, `[n]` integers."""
        raise NotImplementedError

    def encode_documents(self, documents: list[bytes]) -> list[np.ndarray]:
        """Returns the ids of whole documents, each with its separator, in any number of arrays."""
        # The separator is U+0000, so one call encodes them all.
        return [self.encode(b"\0".join(documents) + b"\0")]

    def check(self, text: bytes) -> None:
        """Checks the encoding of a sample of text, where that is not certain.

        Raises:
            UserError: the sample is not encoded as it should be; it shows the text.
        """

    def encode(self, text: str | bytes) -> np.ndarray:
        """Returns the ids of a text, `[n]` of `dtype`.

        Raises:
            UserError: the text has characters that the vocabulary lacks; it names them.
        """
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return self.encoder().encode(data, final=True)

    def decode(self, ids: Any) -> str:
        """Returns the text of `ids`, `[n]` integers; bytes that are not UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        """Returns a decoder for a stream of ids, such as generated ones."""
        return _StreamDecoder(self)

    def tolerant(self) -> "Vocabulary":
        """Returns the vocabulary whose unknown characters become U+FFFD, if that has an id."""
        return self

    def save(self, directory: str | os.PathLike[str], *, once: bool = False) -> None:
        """Writes the vocabulary's file into `directory` by `whole_file`."""
        with whole_file(join(directory, self.file_name), once=once) as file:
            file.write(self.to_bytes())


class _StreamDecoder:
    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, ids: Any, *, final: bool = False) -> str:
        return self._decoder.decode(self._vocabulary.decode_bytes(ids), final)
