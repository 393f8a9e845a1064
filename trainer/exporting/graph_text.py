"""Graphs of text <-> ids by TensorFlow's own operations, which run without this package.

The ids and the texts are those of `pipeline.vocabulary.base`. Subwords have no such graph: BPE is
no TensorFlow operation.
"""

from typing import Protocol

import numpy as np
import tensorflow as tf

from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.characters import REPLACEMENT, ByteVocabulary, CharVocabulary

_SHOWN = 10  # characters in an error


class GraphText(Protocol):
    """Encodes and decodes a batch of texts."""

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of `[batch]` strings, `[batch, (n)]` int32."""

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `[batch]` strings of `[batch, n]` int32 ids."""


def graph_text(vocabulary: Vocabulary) -> GraphText | None:
    """Returns a vocabulary's graph, `None` for subwords."""
    if isinstance(vocabulary, ByteVocabulary):
        return _Bytes()
    if isinstance(vocabulary, CharVocabulary):
        return _Characters(np.frombuffer(vocabulary.characters.encode("utf-32-le"), "<i4"))
    return None


class _Bytes:
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        split = tf.strings.bytes_split(texts)
        # [bytes] strings -> [bytes, 1] (of no string: [0, 0]) -> [bytes]
        values = tf.reshape(tf.io.decode_raw(split.flat_values, tf.uint8), [-1])
        return split.with_flat_values(tf.cast(values, tf.int32))

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        table = tf.constant([bytes([value]) for value in range(256)])
        return tf.strings.reduce_join(tf.gather(table, ids), axis=-1)


class _Characters:
    """The id of a character is the index of its code point among those that are there.

    Args:
        code_points: `[size]` int32, ascending.
    """

    def __init__(self, code_points: np.ndarray) -> None:
        self._code_points = code_points

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        ragged = tf.strings.unicode_decode(texts, "UTF-8", errors="strict")
        table, points = tf.constant(self._code_points), ragged.flat_values
        ids = tf.minimum(tf.searchsorted(table, points), len(self._code_points) - 1)
        is_known = tf.gather(table, ids) == points
        if REPLACEMENT in self._code_points:
            replacement = np.searchsorted(self._code_points, REPLACEMENT)
            ids = tf.where(is_known, ids, tf.constant(replacement, tf.int32))
        else:
            unknown = tf.boolean_mask(points, ~is_known)[:_SHOWN, tf.newaxis]
            message = "characters that the vocabulary lacks:"
            characters = tf.strings.unicode_encode(unknown, "UTF-8")
            tf.debugging.Assert(tf.reduce_all(is_known), [message, characters], summarize=_SHOWN)
        return ragged.with_flat_values(ids)

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.strings.unicode_encode(tf.gather(tf.constant(self._code_points), ids), "UTF-8")
