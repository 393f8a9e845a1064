"""Event files of TensorBoard, written without the TensorBoard package.

`tf.summary.scalar` and its kin live in that package, which training does not need: an event
is a tensor and the name of the plugin that shows it.
"""

import os

import numpy as np
import tensorflow as tf

_Metadata = tf.compat.v1.SummaryMetadata
_NUM_BUCKETS = 30  # as TensorBoard's own


class EventWriter:
    """Writes scalars, texts and histograms to an event file in a directory, one file a process.

    Args:
        directory: made if it does not exist. Several files there show as one run.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._writer = tf.summary.create_file_writer(os.fspath(directory))

    def scalar(self, name: str, value: float, *, step: int) -> None:
        """Adds a point to the curve `name`."""
        self._write("scalars", "DATA_CLASS_SCALAR", name, tf.constant(value, tf.float32), step)

    def text(self, name: str, text: str, *, step: int) -> None:
        """Adds a text, shown as it is (indented: TensorBoard renders Markdown)."""
        lines = "\n".join("    " + line for line in text.split("\n"))
        self._write("text", "DATA_CLASS_TENSOR", name, tf.constant(lines), step)

    def histogram(self, name: str, values: np.ndarray, *, step: int) -> None:
        """Adds how values are distributed; those that are not finite are left out.

        Args:
            name: of the histogram.
            values: of any shape.
            step: what it belongs to.
        """
        buckets = tf.constant(histogram_buckets(values), tf.float64)
        self._write("histograms", "DATA_CLASS_TENSOR", name, buckets, step)

    def _write(self, plugin: str, data_class: str, name: str, value: tf.Tensor, step: int) -> None:
        metadata = _Metadata(
            plugin_data=_Metadata.PluginData(plugin_name=plugin),
            data_class=_Metadata.DESCRIPTOR.fields_by_name["data_class"]
            .enum_type.values_by_name[data_class]
            .number,
        )
        with self._writer.as_default(step=step):
            tf.summary.write(name, value, metadata=metadata)

    def flush(self) -> None:
        """Makes what was written so far visible to readers."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()


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
