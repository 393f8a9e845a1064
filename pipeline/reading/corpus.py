"""Corpus as readers see it: opened, and asked for windows and lanes."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UserError
from pipeline.layout.manifest import Manifest, Split
from pipeline.reading.arrays.batches import ArrayBatches
from pipeline.reading.arrays.spans import ShardReader
from pipeline.reading.batches import READ_AHEAD, Batches, Targets, declare
from pipeline.reading.caching.fetcher import Cache, Fetchers
from pipeline.reading.geometry import (
    SHUFFLE_BYTES,
    SINGLE_TOKENS,
    SPAN_TOKENS,
    Windows,
    check_lanes,
    check_windows,
    make_order,
)
from pipeline.reading.order import Order
from pipeline.reading.shards import SplitShards
from pipeline.vocabulary.base import Vocabulary

if TYPE_CHECKING:
    import tensorflow as tf


class Corpus:
    """A prepared directory. Use `open_corpus`.

    Attributes:
        directory: where it lies.
        manifest: what it is.
        vocabulary: symbols <-> ids.
    """

    def __init__(
        self,
        directory: str,
        manifest: Manifest,
        vocabulary: Vocabulary,
        cache: Cache | None = None,
    ):
        self.directory = directory
        self.manifest = manifest
        self.vocabulary = vocabulary
        self._fetchers = Fetchers(directory, manifest, cache)

    @property
    def splits(self) -> dict[str, Split]:
        """Name -> `Split`, with its `num_tokens`, `num_documents` and `text_bytes`."""
        return self.manifest.splits

    @functools.cached_property
    def fingerprint(self) -> str:
        """BLAKE3 in hex; equal for equal tokens and splits, wherever the corpus lies."""
        return self.manifest.fingerprint

    def num_windows(self, split: str, *, seq_len: int, stride: int | None = None) -> int:
        """The windows of a split: in each shard, starts `0, stride, 2·stride, …` that fit.

        Args:
            split: its name.
            seq_len: tokens of an input; a window has one more.
            stride: tokens between the starts of two windows; `None` means `seq_len`.

        Raises:
            UserError: no such split, or a number that is not positive.
        """
        return int(self.first_windows(split, Batches(seq_len=seq_len, stride=stride).windows)[-1])

    def windows(
        self,
        split: str,
        *,
        seq_len: int,
        batch_size: int,
        stride: int | None = None,
        seed: int | None = 0,
        start_step: int = 0,
        epochs: int | None = None,
        host_index: int = 0,
        host_count: int = 1,
        targets: Targets = "sequence",
        across_documents: bool = True,
        segments: bool = False,
        shuffle_bytes: int = SHUFFLE_BYTES,
        span_tokens: int = SPAN_TOKENS,
        read_ahead: int = READ_AHEAD,
    ) -> "tf.data.Dataset":
        """The training batches of a split, endless or of some epochs.

        Epoch after epoch, every window comes exactly once in each; a batch that an epoch does not
        fill is filled by the next. Batch `k` is a pure function of `k` and of the arguments up to
        `seed`, and the same for any number of hosts. No state: to go on after step `k`, pass
        `start_step=k`, which costs one seek.

        Args:
            split: its name.
            seq_len: tokens of an input.
            batch_size: rows of the global batch.
            stride: tokens between the starts of two windows; `None` means `seq_len`.
            seed: of the shuffle; `None` for the order of the text.
            start_step: the first batch to yield.
            epochs: after how many the batches end, all of them full: `len` of the dataset is
                `epochs · num_windows // batch_size - start_step`, on every host. Under
                `batch_size` windows of the last epoch fill no batch, and do not come. `None`:
                never.
            host_index: which of the hosts this is.
            host_count: hosts that share the batch; divides `batch_size`. Each reads about
                `1 / host_count` of the bytes.
            targets: `sequence`: each token's next; `last`: only the token after the window.
            across_documents: whether a window goes on in the next document. If not, it ends
                with the document that it begins in: what follows is padding of weight 0.
            segments: also number the documents in each window, and the tokens in each document,
                for attention that stays inside them.
            shuffle_bytes: memory that the shuffle may take, in bytes; 256 MiB by default. The
                order depends on it.
            span_tokens: tokens that one seek reads; more make fewer requests to a store, and a
                group of fewer places in the text. The order depends on it.
            read_ahead: reads under way at once; more hide the latency of a remote store.

        Returns:
            A dataset of `(inputs, targets)`, `[batch_size / host_count, seq_len]` int32 each;
            with `targets="last"`, targets are `[batch_size / host_count]` int32. Without
            `across_documents`, of `(inputs, targets, weights)`, weights being float32 of the
            shape of the targets. With `segments`, of `((inputs, segment_ids, positions),
            targets)`, all `[batch_size / host_count, seq_len]` int32.

        Raises:
            UserError: no such split, one with no window, or an argument out of its range.
        """
        from pipeline.reading.graph.spans import ShardFiles
        from pipeline.reading.graph.windows import make_dataset

        batches = Batches(
            seq_len=seq_len,
            batch_size=batch_size,
            stride=stride,
            seed=seed,
            start_step=start_step,
            epochs=epochs,
            host_index=host_index,
            host_count=host_count,
            shuffle_bytes=shuffle_bytes,
            span_tokens=span_tokens,
            read_ahead=read_ahead,
            targets=targets,
            across_documents=across_documents,
            segments=segments,
        )
        files = ShardFiles(self.shards(split, batches.windows, read_ahead=batches.read_ahead))
        order, separator_id = self.order(split, batches), self.vocabulary.separator_id
        return make_dataset(files, order, batches, separator_id=separator_id)

    def batches(
        self,
        split: str,
        *,
        seq_len: int,
        batch_size: int,
        stride: int | None = None,
        seed: int | None = 0,
        start_step: int = 0,
        epochs: int | None = None,
        host_index: int = 0,
        host_count: int = 1,
        targets: Targets = "sequence",
        across_documents: bool = True,
        segments: bool = False,
        shuffle_bytes: int = SHUFFLE_BYTES,
        span_tokens: int = SPAN_TOKENS,
        read_ahead: int = READ_AHEAD,
    ) -> ArrayBatches:
        """The batches of `windows` as NumPy arrays, without TensorFlow: for PyTorch or JAX.

        The arguments and what they mean, the batches and their order are those of `windows`.

        Returns:
            An iterable as `ArrayBatches` says, with a `len` where `epochs` is given.

        Raises:
            UserError: see `windows`; or, as it is read, that a record is damaged.
        """
        from pipeline.reading.arrays.windows import make_batches

        batches = Batches(
            seq_len=seq_len,
            batch_size=batch_size,
            stride=stride,
            seed=seed,
            start_step=start_step,
            epochs=epochs,
            host_index=host_index,
            host_count=host_count,
            shuffle_bytes=shuffle_bytes,
            span_tokens=span_tokens,
            read_ahead=read_ahead,
            targets=targets,
            across_documents=across_documents,
            segments=segments,
        )
        order = self.order(split, batches)
        reader = ShardReader(self.shards(split, batches.windows, read_ahead=batches.read_ahead))
        make = functools.partial(
            make_batches, reader, order, batches, separator_id=self.vocabulary.separator_id
        )
        return ArrayBatches(make, batches.num_left(order.num_windows))

    def lanes(
        self,
        split: str,
        *,
        seq_len: int,
        batch_size: int,
        start_step: int = 0,
        host_index: int = 0,
        host_count: int = 1,
        read_ahead: int = READ_AHEAD,
    ) -> "tf.data.Dataset":
        """Batches whose rows continue those of the batch before, for stateful training; endless.

        `batch_size` rows begin at equal distances in the split and read on, round and round, so
        an epoch is `num_tokens / (batch_size * seq_len)` steps. Batch `k` is a pure function of
        `k`, the split, `seq_len` and `batch_size`, for any number of hosts. No state: to go on
        after step `k`, pass `start_step=k`.

        Args:
            split: its name.
            seq_len: tokens of an input.
            batch_size: rows of the global batch.
            start_step: the first batch to yield.
            host_index: which of the hosts this is.
            host_count: hosts that share the batch; divides `batch_size`. Each reads
                `1 / host_count` of the bytes.
            read_ahead: reads under way at once.

        Returns:
            A dataset of `((inputs, resets), targets)`, `[batch_size / host_count, seq_len]`
            each; int32, bool, int32. `resets` is true where an input begins a document: the
            state is to be forgotten before it.

        Raises:
            UserError: no such split, fewer tokens than a batch, or an argument out of its range.
        """
        from pipeline.reading.graph.lanes import make_lanes
        from pipeline.reading.graph.spans import ShardFiles

        batches = Batches(
            seq_len=seq_len,
            batch_size=batch_size,
            seed=None,
            start_step=start_step,
            host_index=host_index,
            host_count=host_count,
            read_ahead=read_ahead,
        )
        num_tokens, separator_id = self.split(split).num_tokens, self.vocabulary.separator_id
        files = ShardFiles(self.shards(split, SINGLE_TOKENS, read_ahead=batches.read_ahead))
        return declare(make_lanes(files, num_tokens, batches, separator_id=separator_id))

    def lane_batches(
        self,
        split: str,
        *,
        seq_len: int,
        batch_size: int,
        start_step: int = 0,
        host_index: int = 0,
        host_count: int = 1,
        read_ahead: int = READ_AHEAD,
    ) -> ArrayBatches:
        """The batches of `lanes` as NumPy arrays, without TensorFlow.

        Returns:
            An endless iterable of `((inputs, resets), targets)`, as `lanes` has them.

        Raises:
            UserError: see `lanes` and `batches`.
        """
        from pipeline.reading.arrays.lanes import make_lanes

        batches = Batches(
            seq_len=seq_len,
            batch_size=batch_size,
            seed=None,
            start_step=start_step,
            host_index=host_index,
            host_count=host_count,
            read_ahead=read_ahead,
        )
        num_tokens, separator_id = self.split(split).num_tokens, self.vocabulary.separator_id
        check_lanes(num_tokens, num_lanes=batch_size, seq_len=seq_len)
        reader = ShardReader(self.shards(split, SINGLE_TOKENS, read_ahead=batches.read_ahead))
        make = functools.partial(make_lanes, reader, num_tokens, batches, separator_id=separator_id)
        return ArrayBatches(make, None)

    def shards(self, split: str, windows: Windows, *, read_ahead: int) -> SplitShards:
        """The shards of a split, to be read."""
        self.split(split)  # refuses one that is not there
        return SplitShards(
            self.directory, self.manifest, split, windows, read_ahead, self._fetchers
        )

    def order(self, split: str, batches: Batches) -> Order:
        """The order in which the windows of a split are read.

        Raises:
            UserError: no such split, no window in it, or a shuffle that is too small for one span.
        """
        return make_order(
            batches.windows,
            self.checked_num_windows(split, batches.windows),
            itemsize=self.vocabulary.dtype.itemsize,
            seed=batches.seed,
            shuffle_bytes=batches.shuffle_bytes,
            span_tokens=batches.span_tokens,
        )

    def first_windows(self, split: str, windows: Windows) -> np.ndarray:
        """Numbers the windows of a split: see `Windows.first_windows`.

        Raises:
            UserError: no such split.
        """
        return windows.first_windows([shard.num_tokens for shard in self.split(split).shards])

    def checked_num_windows(self, split: str, windows: Windows) -> int:
        """The windows of a split, at least one.

        Raises:
            UserError: no such split, or it has no window.
        """
        sizes = [shard.num_tokens for shard in self.split(split).shards]
        return check_windows(split, sizes, windows)

    def split(self, name: str) -> Split:
        """One of the splits.

        Raises:
            UserError: no such split.
        """
        if name not in self.splits:
            raise UserError(f"no split {name!r} in {self.directory}; it has {list(self.splits)}")
        return self.splits[name]
