"""Spans of windows -> the tokens that hold them, by seeks into the shards; without TensorFlow."""

from typing import NamedTuple

import numpy as np

from pipeline.errors import UserError
from pipeline.files import StoreError, join, read_range
from pipeline.layout.records import parse_records
from pipeline.layout.sealed import is_unchanged
from pipeline.reading.arrays.groups import Loaded, cut, join_spans, places_of, read_all
from pipeline.reading.damage import Damage, replaced_message
from pipeline.reading.shards import SplitShards

READ_BYTES = 8 * 2**20  # at most, by one request


class Pieces(NamedTuple):
    """Runs of windows that lie in one shard each. All are `[pieces]` int64.

    Attributes:
        shard: index of the shard, in the split.
        first_token: index in the shard.
        num_windows: how many windows.
    """

    shard: np.ndarray
    first_token: np.ndarray
    num_windows: np.ndarray


class ShardReader:
    """Reads the shards of a split that have windows. It may be pickled.

    Args:
        shards: of the split.

    Attributes:
        windows: which windows it is cut into.
        dtype: of the tokens.
    """

    def __init__(self, shards: SplitShards):
        self._shards = shards
        self.windows = shards.windows
        self.dtype = shards.dtype

    def load(self, first_windows: np.ndarray, num_windows: np.ndarray) -> Loaded:
        """Reads spans, in any order; those that are near each other are read as one."""
        gap = self._shards.record_tokens // self.windows.stride
        first, pieces = self.cut(*join_spans(first_windows, num_windows, gap=gap))
        return Loaded(first, *self.read(pieces))

    def cut(self, first_windows: np.ndarray, num_windows: np.ndarray) -> tuple[np.ndarray, Pieces]:
        """Cuts spans where they run from one shard into the next.

        Args:
            first_windows: `[spans]` int64; the window that each span starts with, of the shards
                laid twice end to end.
            num_windows: `[spans]` int64; the windows of each span.

        Returns:
            The window that each piece starts with, `[pieces]` int64, and the pieces.
        """
        table, indices = self._shards.first_windows, self._shards.indices
        shard, first, count = cut(table, first_windows, num_windows)
        first_token = (first - table[shard]) * self.windows.stride
        return first, Pieces(indices[shard % len(indices)], first_token, count)

    def read(self, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
        """Reads pieces, several at a time.

        Returns:
            `[pieces]` int64, the tile that each begins at, and the tokens, `[tiles · stride]`, as
            they are stored. A window begins where a tile does.

        Raises:
            UserError: a record is missing or damaged, and it names the file and the records; or the
                corpus was replaced, or the store cannot be read.
        """
        stride = self.windows.stride
        num_tiles = pieces.num_windows - 1 + self.windows.num_tiles
        first_tiles = places_of(num_tiles)
        tokens = np.zeros(int(num_tiles.sum()) * stride, self.dtype)
        num_tokens = self._shards.num_tokens(pieces.num_windows)
        most = max(1, READ_BYTES // self.dtype.itemsize)

        def read(part: tuple[int, int, int, int]) -> None:
            shard, first, count, place = part
            tokens[place : place + count] = self._read(shard, first, count)

        fetcher = self._shards.fetcher()
        if fetcher is not None:
            num_bytes = num_tokens * self.dtype.itemsize
            fetcher.bring(zip(pieces.shard.tolist(), num_bytes.tolist(), strict=True))
        parts = (
            (shard, first + done, min(most, count - done), place + done)
            for shard, first, count, place in zip(
                pieces.shard.tolist(),
                pieces.first_token.tolist(),
                num_tokens.tolist(),
                (first_tiles * stride).tolist(),
                strict=True,
            )
            for done in range(0, count, most)
        )
        try:
            read_all(read, parts, read_ahead=self._shards.read_ahead)
        except (OSError, UserError):
            self._check_same()  # first: of a corpus that was replaced, files may be missing
            raise
        self._check_same()
        return first_tiles, tokens

    def _check_same(self) -> None:
        """Refuses a corpus that is no longer the one that was opened.

        Whoever replaces a corpus removes the manifest before any shard: so what was read before
        this is of the corpus that was opened.
        """
        if not is_unchanged(self._shards.manifest_path, self._shards.manifest.digest):
            raise UserError(replaced_message(self._shards.directory))

    def _read(self, shard: int, first_token: int, num_tokens: int) -> np.ndarray:
        record_tokens, size = self._shards.record_tokens, self._shards.record_bytes
        first, last = first_token // record_tokens, (first_token + num_tokens - 1) // record_tokens
        path = join(self._shards.directory, self._shards.all[shard].file)
        damage = Damage(file=path, first_record=first, last_record=last)
        try:
            data = self._read_range(path, shard, first * size, (last + 1) * size)
            payloads = parse_records(
                data, first_record=first, full_payload_bytes=self._shards.payload_bytes
            )
        except StoreError:
            raise
        except (OSError, UserError) as error:
            raise UserError(f"{damage} ({error})") from error
        found = np.frombuffer(b"".join(payloads), self.dtype)[first_token - first * record_tokens :]
        if len(found) < num_tokens:
            raise UserError(str(damage))
        return found[:num_tokens]

    def _read_range(self, path: str, shard: int, start: int, stop: int) -> bytes:
        stop = min(stop, self._shards.all[shard].disk_bytes)
        fetcher = self._shards.fetcher()
        if fetcher is not None:
            return fetcher.read(shard, start, stop - start)
        return read_range(path, start, stop)
