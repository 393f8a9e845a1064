"""Shards of a split that are to be read: which windows they have, and where they are."""

import dataclasses
import functools
from typing import Any

import numpy as np

from pipeline.layout.manifest import FILE_NAME, Manifest, Shard
from pipeline.layout.records import record_bytes
from pipeline.reading.caching.fetcher import Fetcher, Fetchers
from pipeline.reading.geometry import Windows


@dataclasses.dataclass(frozen=True)
class SplitShards:
    """What is read of a split. It may be pickled.

    Attributes:
        directory: of the corpus.
        manifest: of the corpus.
        split: the name of the split.
        windows: which windows it is cut into.
        read_ahead: reads under way at once.
        fetchers: bring shards to this machine, where there is a cache.
    """

    directory: str
    manifest: Manifest
    split: str
    windows: Windows
    read_ahead: int
    fetchers: Fetchers

    @functools.cached_property
    def all(self) -> tuple[Shard, ...]:
        """The shards of the split."""
        return tuple(self.manifest.splits[self.split].shards)

    @functools.cached_property
    def _num_windows(self) -> np.ndarray:
        return np.diff(self.windows.first_windows([shard.num_tokens for shard in self.all]))

    @functools.cached_property
    def indices(self) -> np.ndarray:
        """The indices, in the split, of the shards that have windows: `[shards]` int64."""
        return np.flatnonzero(self._num_windows)

    @functools.cached_property
    def first_windows(self) -> np.ndarray:
        """The window that each of them starts with, for these shards laid twice end to end.

        `[2·shards + 1]` int64.
        """
        twice = np.tile(self._num_windows[self.indices], 2)
        return np.concatenate([[0], np.cumsum(twice, dtype=np.int64)])

    @property
    def dtype(self) -> np.dtype:
        """Of the tokens."""
        return np.dtype(self.manifest.dtype)

    @property
    def record_tokens(self) -> int:
        """The tokens of a record."""
        return self.manifest.record_tokens

    @property
    def payload_bytes(self) -> int:
        """The bytes of a record's tokens."""
        return self.record_tokens * self.dtype.itemsize

    @property
    def record_bytes(self) -> int:
        """The bytes of a record in its file."""
        return record_bytes(self.payload_bytes)

    @property
    def manifest_path(self) -> str:
        """Where the manifest lies."""
        return f"{self.directory}/{FILE_NAME}"

    def num_tokens(self, num_windows: Any) -> Any:
        """The tokens that hold as many consecutive windows of a shard; also of arrays."""
        return (num_windows - 1) * self.windows.stride + self.windows.num_tokens

    def fetcher(self) -> Fetcher | None:
        """What brings them to this machine; `None` where they are read from where they are.

        Raises:
            OSError: the cache cannot be made.
        """
        return self.fetchers.of(self.split)
