"""Damage that reading finds: how a graph says it, and how what it raised is understood.

A corpus or an index that is replaced while it is read is found as well: its sealed file is another
one.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.layout.sealed import first_line

if TYPE_CHECKING:
    import tensorflow as tf

_BEFORE_FIRST, _BEFORE_LAST = ": one of the records ", " to "
_REST = " is missing or damaged; rebuild the shard with `textreel repair`"
_ASSERTED = re.compile(
    rf"assertion failed: \[(?P<file>[^\n]*?){_BEFORE_FIRST}"
    rf"(?P<first>\d+){_BEFORE_LAST}(?P<last>\d+){re.escape(_REST)}\]"
)
_ESCAPED = re.compile(r"""\\(["'\\])""")  # as TensorFlow writes these in a message
_REPLACED = (
    " was replaced or removed while it was read: what was read last is not used; start again with "
    "what is there"
)
_ASSERTED_REPLACEMENT = re.compile(rf"assertion failed: \[(?P<message>[^\n]*?{_REPLACED})\]")
RECORD_DAMAGED = (
    " is missing or damaged, or the file is not the one that was indexed; `textreel index FILE "
    "--check --output INDEX` names what is damaged"
)
_UNREAD = "; nothing was read in its place"
_ASSERTED_UNREAD = re.compile(rf"assertion failed: \[(?P<message>[^\n]*?{_UNREAD})\]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Damage:
    """Records of which one is missing or damaged.

    Attributes:
        file: the shard.
        first_record: index of the first of them.
        last_record: index of the last.
    """

    file: str
    first_record: int
    last_record: int

    def __str__(self) -> str:
        records = f"{self.first_record}{_BEFORE_LAST}{self.last_record}"
        return f"{self.file}{_BEFORE_FIRST}{records}{_REST}"


def damage_message(file: "tf.Tensor", first: "tf.Tensor", last: "tf.Tensor") -> "tf.Tensor":
    """Returns `str(Damage(…))` as a scalar string of a graph, to be asserted.

    Args:
        file: scalar string; the shard.
        first: scalar int64; index of the first record.
        last: scalar int64; index of the last.
    """
    import tensorflow as tf

    first, last = tf.strings.as_string(first), tf.strings.as_string(last)
    return tf.strings.join([file, _BEFORE_FIRST, first, _BEFORE_LAST, last, _REST])


def first_unread(items: tuple[Any, ...], read: Callable[..., "tf.Tensor"]) -> "tf.Tensor":
    """Reads items one by one, in a graph, and returns the index of the first that fails.

    Args:
        items: of tensors, or of tuples of them, `[items]` each.
        read: of one item, as so many arguments.

    Returns:
        Scalar int64; the last one where none fails any more.
    """
    import tensorflow as tf

    def check(index: "tf.Tensor", *item: Any) -> "tf.Tensor":
        with tf.control_dependencies([read(*item)]):
            return tf.identity(index)

    count = tf.size(tf.nest.flatten(items)[0], out_type=tf.int64)
    whole = (
        tf.data.Dataset.from_tensor_slices((tf.range(count), *items))
        .map(check)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(tf.constant(-1, tf.int64)))
        .batch(count + 1)
        .get_single_element()
    )
    bad = tf.argmax(whole != tf.range(tf.size(whole, out_type=tf.int64)))
    return tf.minimum(bad, count - 1)


def asserted_damage(error: str) -> Damage | None:
    """Returns the damage of which the message of TensorFlow's error tells; `None`: of another."""
    found = _ASSERTED.search(error)
    if found is None:
        return None
    return Damage(
        file=_ESCAPED.sub(r"\1", found["file"]),
        first_record=int(found["first"]),
        last_record=int(found["last"]),
    )


def replaced_message(directory: str) -> str:
    """Returns what a graph asserts not to be: a directory is no longer the one that was opened."""
    return f"{directory}{_REPLACED}"


def assert_digest(path: str, digest: str, message: str) -> "tf.Operation":
    """Asserts, in a graph, that a sealed file is still the one that was opened.

    Args:
        path: the file.
        digest: of its content, in hex.
        message: what is said where it is another one, or gone.
    """
    import tensorflow as tf

    expected = first_line(digest)

    def read(path: "tf.Tensor") -> "tf.Tensor":
        variant = tf.raw_ops.TextLineDataset(
            filenames=path,
            compression_type="",
            buffer_size=tf.constant(len(expected) + 1, tf.int64),
        )
        lines = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        return lines.take(1).get_single_element()

    # An error of the one element of a map comes once; that of a missing file, again and again.
    line = (
        tf.data.Dataset.from_tensors(path)
        .map(read)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(""))
        .take(1)
        .get_single_element()
    )
    return tf.debugging.Assert(line == expected, [message])


def asserted_replacement(error: str) -> str | None:
    """Returns `replaced_message(…)` from the message of TensorFlow's error; `None`: of another."""
    found = _ASSERTED_REPLACEMENT.search(error)
    return None if found is None else _ESCAPED.sub(r"\1", found["message"])


def unread_message(error: str) -> str:
    """Returns what a graph asserts not to be: a store could not be read.

    Args:
        error: what the store said; one line.
    """
    return f"{error}{_UNREAD}"


def asserted_unread(error: str) -> str | None:
    """Returns `unread_message(…)` from the message of TensorFlow's error; `None`: of another."""
    found = _ASSERTED_UNREAD.search(error)
    return None if found is None else _ESCAPED.sub(r"\1", found["message"])
