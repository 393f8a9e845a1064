"""Opens a prepared corpus."""

import functools
import os
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.geometry import SHUFFLE_BYTES, Windows, make_order
from pipeline.manifest import Manifest, Split, load_manifest
from pipeline.vocabularies import load_vocabulary
from pipeline.vocabulary import Vocabulary

if TYPE_CHECKING:
    import tensorflow as tf

    from pipeline.windows import Targets


class Corpus:
    """A prepared directory. Use `open_corpus`.

    Attributes:
        directory: where it lies.
        manifest: what it is.
        vocabulary: symbols <-> ids.
    """

    def __init__(self, directory: str, manifest: Manifest, vocabulary: Vocabulary):
        self.directory = directory
        self.manifest = manifest
        self.vocabulary = vocabulary

    @property
    def splits(self) -> dict[str, Split]:
        """Name -> `Split`, with its `num_tokens`, `num_documents` and `num_bytes`."""
        return self.manifest.splits

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hex; equal for equal tokens and splits, wherever the corpus lies."""
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
        windows = Windows(seq_len=seq_len, stride=seq_len if stride is None else stride)
        return sum(windows.num_windows(shard.num_tokens) for shard in self._split(split).shards)

    def windows(
        self,
        split: str,
        *,
        seq_len: int,
        batch_size: int,
        stride: int | None = None,
        seed: int | None = 0,
        start_step: int = 0,
        host_index: int = 0,
        host_count: int = 1,
        targets: "Targets" = "sequence",
        shuffle_bytes: int = SHUFFLE_BYTES,
    ) -> "tf.data.Dataset":
        """The training batches of a split, endless.

        Epoch after epoch, every window comes exactly once in each. Batch `k` is a pure function
        of `k` and of the arguments up to `seed`, and the same for any number of hosts. No
        state: to go on after step `k`, pass `start_step=k`, which costs one seek.

        Args:
            split: its name.
            seq_len: tokens of an input.
            batch_size: rows of the global batch.
            stride: tokens between the starts of two windows; `None` means `seq_len`.
            seed: of the shuffle; `None` for the order of the text.
            start_step: the first batch to yield.
            host_index: which of the hosts this is.
            host_count: hosts that share the batch; divides `batch_size`. Each reads about
                `1 / host_count` of the bytes where the batch size is a power of two (up to the
                spans of a group, 256 by default), else up to all of them.
            targets: `sequence`: each token's next; `last`: only the token after the window.
            shuffle_bytes: memory that the shuffle may take, in bytes; 128 MiB by default. The
                order depends on it.

        Returns:
            A dataset of `(inputs, targets)`, `[batch_size / host_count, seq_len]` int32 each;
            with `targets="last"`, targets are `[batch_size / host_count]` int32.

        Raises:
            UserError: no such split, one with no window, or an argument out of its range.
        """
        from pipeline.spans import ShardFiles
        from pipeline.windows import Rows, make_dataset

        windows = Windows(seq_len=seq_len, stride=seq_len if stride is None else stride)
        rows = Rows(batch_size=batch_size, host_index=host_index, host_count=host_count)
        num_windows = self.checked_num_windows(split, windows)
        files = ShardFiles(self.directory, self.manifest, split, windows)
        order = make_order(
            windows,
            num_windows,
            itemsize=files.dtype.itemsize,
            seed=seed,
            shuffle_bytes=shuffle_bytes,
        )
        return make_dataset(files, order, windows, rows, start_step=start_step, targets=targets)

    def checked_num_windows(self, split: str, windows: Windows) -> int:
        """The windows of a split, at least one.

        Raises:
            UserError: no such split, or it has no window.
        """
        shards = self._split(split).shards
        num_windows = sum(windows.num_windows(shard.num_tokens) for shard in shards)
        if num_windows == 0:
            longest = max(shard.num_tokens for shard in shards)
            raise UserError(
                f"split {split!r} has no window of `seq_len` {windows.seq_len}: a window needs"
                f" {windows.num_tokens} tokens in one shard, and the longest shard has {longest}"
                f" (the split: {self._split(split).num_tokens}); use a shorter `seq_len` or"
                " prepare more text"
            )
        return num_windows

    def _split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"no split {name!r} in {self.directory}; it has {list(self.splits)}")
        return self.splits[name]


def open_corpus(directory: str | os.PathLike[str]) -> Corpus:
    """Opens a prepared directory.

    Raises:
        UserError: it is none, it is damaged, or its vocabulary is not the one that it was
            prepared with.
    """
    manifest = load_manifest(directory)
    vocabulary = load_vocabulary(directory)
    if vocabulary.fingerprint != manifest.vocabulary_fingerprint:
        raise UserError(
            f"{directory}: its vocabulary is not the vocabulary that the corpus was"
            f" prepared with (fingerprint {vocabulary.fingerprint[:12]}, the manifest says"
            f" {manifest.vocabulary_fingerprint[:12]}); prepare the corpus again"
        )
    return Corpus(os.fspath(directory), manifest, vocabulary)
