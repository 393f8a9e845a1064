"""Token ids in a file, `.bin`: what nanoGPT's and llm.c's scripts make of a text.

nanoGPT's have no header, so who prepares says how many bytes an id has. llm.c's begin with 256
numbers of 32 bits: a magic number, which says how many bytes an id has, a version, and the number
of ids (`data_common.py` there). The name says the split: `train.bin`, `fineweb_val_000000.bin`.
"""

import dataclasses
import os
import re
from collections.abc import Iterator

import numpy as np

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES, read_blocks, read_first
from pipeline.sizes import count_text
from pipeline.text.pieces import Candidate, Format, Part, Piece, Reading, Source

_SUFFIX = ".bin"
_HEADER_BYTES = 256 * 4
_TOKEN_BYTES = {(20240520, 1): 2, (20240801, 7): 4}  # of llm.c: magic number, version
_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TokenFile(Format):
    """Little-endian unsigned ids. Pieces and `Part.position` count ids.

    Attributes:
        token_bytes: of an id.
        header_bytes: before the first one.
        given_split: the one that the name of the file says.
    """

    token_bytes: int
    header_bytes: int
    given_split: str

    title = "files of token ids"
    position_unit = "token"

    @property
    def is_document(self) -> bool:
        """See `Format.is_document`; where its documents end, its ids say."""
        return True

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`.

        Raises:
            UserError: its name is no such name, its size is not that of whole ids or not what its
                header says, or its ids have another width.
        """
        if not reading.token_bytes:
            return None
        path, num_bytes = candidate.path, candidate.source_bytes
        if not path.lower().endswith(_SUFFIX):
            raise UserError(
                f"{path} is no {_SUFFIX}, and with `--from_bin` every source is a file of token "
                "ids: name the files, or leave it out with `--glob '*.bin'`"
            )
        split = _split_of(path)
        head = read_first(path, max(_HEADER_BYTES, BLOCK_BYTES))
        header_bytes, token_bytes, expected = 0, reading.token_bytes, None
        if len(head) >= _HEADER_BYTES:
            magic, version, num_ids = np.frombuffer(head, "<i4", 3).tolist()
            if (magic, version) in _TOKEN_BYTES:
                header_bytes, token_bytes = _HEADER_BYTES, _TOKEN_BYTES[magic, version]
                expected = num_ids
        length, rest = divmod(num_bytes - header_bytes, token_bytes)
        if rest:
            raise UserError(
                f"{path} has {num_bytes:,} bytes, and ids of {token_bytes} bytes do not fill it: "
                "it is cut off, or no file of such ids"
            )
        if expected not in (None, length):
            raise UserError(
                f"{path} has {count_text(length, 'id')}, and its header says {expected:,}: it is "
                "cut off, or damaged"
            )
        if not header_bytes and token_bytes == 2:
            _check_narrow(path, np.frombuffer(head[: len(head) // 2 * 2], "<u2"))
        written = cls(token_bytes=token_bytes, header_bytes=header_bytes, given_split=split)
        return candidate.source(written, num_rows=length)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: before any id."""
        return offset

    def blocks(self, piece: Piece) -> Iterator[Part]:
        """See `Format.blocks`; a block is whole ids."""
        start, stop = (
            self.header_bytes + index * self.token_bytes for index in (piece.start, piece.stop)
        )
        position, done = piece.start, 0
        held = b""  # of an id that is not whole: a store cuts anywhere
        for read in read_blocks(piece.source.path, start, stop):
            held += read
            num_ids = len(held) // self.token_bytes
            if not num_ids:
                continue
            block, held = held[: num_ids * self.token_bytes], held[num_ids * self.token_bytes :]
            after = position + num_ids
            now = piece.source_bytes * (after - piece.start) // (piece.stop - piece.start)
            yield Part(block, position, now - done, after == piece.stop)
            position, done = after, now

    def place_of(self, path: str, position: int) -> str:
        """See `Format.place_of`."""
        return f"{path}, id {position:,} (the first is 0)"


def _split_of(path: str) -> str:
    """The split that the name of a file says.

    Raises:
        UserError: it says none.
    """
    words = re.split("[^a-z]+", os.path.basename(path).lower())
    found = [_SPLITS[word] for word in words if word in _SPLITS]
    if not found:
        raise UserError(
            f"{path}: its name must say its split by one of the words {', '.join(_SPLITS)}, as "
            "train.bin and fineweb_val_000000.bin do; rename it"
        )
    return found[-1]


def _check_narrow(path: str, ids: np.ndarray) -> None:
    """Refuses ids of 4 bytes that are read as twice as many of 2, of which every other is 0."""
    if len(ids) >= 16 and not ids[1::2].any() and ids.any():
        raise UserError(
            f"{path}: every second id would be 0, so its ids seem to have 4 bytes: give "
            "`--from_bin uint32`"
        )
