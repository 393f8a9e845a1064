"""Event files of TensorBoard, written without the TensorBoard package.

An event file is a TFRecord file of `Event` messages. What `tf.summary` writes them with cannot say
where a run goes on after it was stopped, without which TensorBoard shows the points twice that
were measured twice.
"""

import contextlib
import itertools
import os
import socket
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.files import is_in_store, join, local_copy, make_directory, put_file

_Event = tf.compat.v1.Event
_Metadata = tf.compat.v1.SummaryMetadata
TRAIN_EVENTS = "train"  # the directory that also has texts and histograms
_NUM_BUCKETS = 30  # as TensorBoard's own
_count = itertools.count()  # of the files of this process
STORE_SECONDS = 60.0  # between two puts of a file into a store
STORE_BYTES = 2**20  # from which on the next events go into another file, and this is put no more


class EventWriter:
    """Writes scalars, texts and histograms to an event file in a directory, one file a process.

    For a store a file is kept on this machine, and put there whole, again and again while it is
    shorter than `STORE_BYTES`; then the next one begins.

    Args:
        directory: made if it does not exist. Several files there show as one run.
        start_step: the step that the run goes on from: TensorBoard forgets what earlier files
            have of later ones (`--purge_orphaned_data`, which is its default).
    """

    def __init__(self, directory: str | os.PathLike[str], *, start_step: int = 0) -> None:
        self._directory = os.fspath(directory)
        make_directory(self._directory)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if is_in_store(self._directory):
            self._scratch = tempfile.TemporaryDirectory(prefix="textreel-")
        self._put_at, self._put_bytes = 0.0, 0
        self._begin()
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._add(_Event(step=start_step + 1, session_log=start))

    def _begin(self) -> None:
        # By their names, files must be in the order of time.
        name = f"{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}.{next(_count)}"
        self._name = f"events.out.tfevents.{name}.v2"
        directory = self._directory if self._scratch is None else self._scratch.name
        self._local = join(directory, self._name)
        self._writer = tf.io.TFRecordWriter(self._local)
        self._add(_Event(file_version="brain.Event:2"))

    def scalar(self, name: str, value: float, *, step: int) -> None:
        """Adds a point to the curve `name`."""
        self._write("scalars", "DATA_CLASS_SCALAR", name, np.float32(value), step)

    def text(self, name: str, text: str, *, step: int) -> None:
        """Adds a text, shown as it is (indented: TensorBoard renders Markdown)."""
        lines = "\n".join("    " + line for line in text.split("\n"))
        self._write("text", "DATA_CLASS_TENSOR", name, lines, step)

    def histogram(self, name: str, values: np.ndarray, *, step: int) -> None:
        """Adds how values are distributed; those that are not finite are left out.

        Args:
            name: of the histogram.
            values: of any shape.
            step: what it belongs to.
        """
        buckets = histogram_buckets(values)
        self._write("histograms", "DATA_CLASS_TENSOR", name, buckets, step)

    def plugin_data(self, plugin: str, name: str, content: bytes, *, step: int) -> None:
        """Adds what a plugin of TensorBoard reads: a message, and no values."""
        self._write(plugin, "DATA_CLASS_TENSOR", name, np.zeros([0], np.float32), step, content)

    def _write(
        self, plugin: str, data_class: str, name: str, value: Any, step: int, content: bytes = b""
    ) -> None:
        metadata = _Metadata(
            plugin_data=_Metadata.PluginData(plugin_name=plugin, content=content),
            data_class=_Metadata.DESCRIPTOR.fields_by_name["data_class"]
            .enum_type.values_by_name[data_class]
            .number,
        )
        summary = tf.compat.v1.Summary()
        summary.value.add(tag=name, metadata=metadata, tensor=tf.make_tensor_proto(value))
        self._add(_Event(step=step, summary=summary))

    def _add(self, event: tf.compat.v1.Event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())

    def flush(self, *, at_once: bool = True) -> None:
        """Makes what was written so far visible to readers.

        Args:
            at_once: False: in a store, not before `STORE_SECONDS` have gone by.

        Raises:
            UserError: a store cannot be written.
        """
        self._writer.flush()
        now = time.monotonic()
        if self._scratch is None or not (at_once or now - self._put_at >= STORE_SECONDS):
            return
        num_bytes = os.path.getsize(self._local)
        if num_bytes > self._put_bytes:
            put_file(self._local, join(self._directory, self._name))
            self._put_at, self._put_bytes = now, num_bytes
        if num_bytes >= STORE_BYTES:
            self._writer.close()
            os.unlink(self._local)
            self._put_bytes = 0
            self._begin()

    def close(self) -> None:
        """Flushes and closes the file; closing it again does nothing."""
        if self._scratch is None:
            self._writer.close()
            return
        if os.path.exists(self._local):
            self.flush()
        self._writer.close()
        self._scratch.cleanup()


def read_texts(path: str) -> tuple[int, dict[tuple[str, int], str]]:
    """Reads the texts of an event file, which may be growing: half an event at its end is left out.

    Args:
        path: the file, or its URI.

    Returns:
        From which step on earlier files no longer count, and (name, step) -> text.
    """
    first_step, texts = 0, {}
    with local_copy(path) as local, contextlib.suppress(tf.errors.DataLossError):
        for record in tf.data.TFRecordDataset(local):
            event = _Event.FromString(record.numpy())
            if event.session_log.status == tf.compat.v1.SessionLog.START:
                first_step = event.step
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "text":
                    lines = tf.make_ndarray(value.tensor).item().decode().split("\n")
                    texts[value.tag, event.step] = "\n".join(line[4:] for line in lines)
    return first_step, texts


def histogram_buckets(values: np.ndarray) -> np.ndarray:
    """Counts values in buckets of equal width from the smallest to the largest.

    Args:
        values: of any shape; those that are not finite do not count.

    Returns:
        `[30, 3]` float64: left edge, right edge, count. Where all values are equal, so are
        all edges, and the last bucket holds the count: that is TensorBoard's own convention.
        Zeros without values.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return np.zeros((_NUM_BUCKETS, 3))
    counts, edges = np.histogram(values, _NUM_BUCKETS)
    if values.min() == values.max():
        counts = np.zeros(_NUM_BUCKETS)
        counts[-1], edges = values.size, np.full(_NUM_BUCKETS + 1, values.min())
    return np.stack([edges[:-1], edges[1:], counts], axis=1)
