"""graph_text: the graphs of text are the vocabularies."""

import tensorflow as tf

from pipeline.vocabulary.characters import REPLACEMENT, ByteVocabulary, CharVocabulary
from trainer.exporting.graph_text import graph_text


def test_the_graphs_of_text_are_the_vocabularies() -> None:
    texts = ["", "日本語", "a\0b\r\n", "\ufeff𝄞", "é" * 50]
    characters = CharVocabulary([*map(ord, "".join(texts)), REPLACEMENT])
    for vocabulary in (ByteVocabulary(), characters):
        graph = graph_text(vocabulary)
        assert graph is not None
        ids = graph.encode(tf.constant(texts))
        for row, one in zip(ids, texts, strict=True):
            assert row.numpy().tolist() == vocabulary.encode(one).tolist()
            assert graph.decode(row[tf.newaxis]).numpy()[0].decode() == one
    graph = graph_text(characters)
    assert graph is not None
    lenient = characters.with_unknown("replace")
    assert graph.encode(tf.constant(["aQ日"])).to_list() == [lenient.encode("aQ日").tolist()]
