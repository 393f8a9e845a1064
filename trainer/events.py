"""TensorBoard event files, written without the TensorBoard package.

`tf.summary.scalar` and `tf.summary.text` live in that package, which training does not
need: an event is a tensor and the name of the plugin that shows it.
"""

import os

import tensorflow as tf

_Metadata = tf.compat.v1.SummaryMetadata


class EventWriter:
    """Writes scalars and texts to an event file in a directory, one file a process.

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
