"""Documents within windows: padding and weights, segments and positions."""

import numpy as np
import pytest
import tensorflow as tf
from corpora import TRAIN, make
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import Corpus, OptionError
from pipeline.reading.graph.segments import mask_other_documents, segment

SEPARATOR = 9


def test_the_example() -> None:
    inputs = tf.constant([[1, 2, 9, 3, 4, 9, 5], [9, 1, 1, 1, 1, 1, 1]])
    segment_ids, positions = segment(inputs, SEPARATOR)
    assert segment_ids.numpy().tolist() == [[0, 0, 1, 1, 1, 2, 2], [1] * 7]
    assert positions.numpy().tolist() == [[0, 1, 0, 1, 2, 0, 1], [0, 1, 2, 3, 4, 5, 6]]


def slow_segments(row: list[int]) -> tuple[list[int], list[int]]:
    ids, positions, count, position = [], [], 0, -1
    for token in row:
        position += 1
        if token == SEPARATOR:
            count, position = count + 1, 0
        ids.append(count)
        positions.append(position)
    return ids, positions


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(7, 9), min_size=6, max_size=6), min_size=1, max_size=4))
def test_segments_and_masks_token_by_token(rows: list[list[int]]) -> None:
    inputs = tf.constant(rows)
    targets = inputs + 100
    segment_ids, positions = (x.numpy().tolist() for x in segment(inputs, SEPARATOR))
    masked, masked_targets, weights = mask_other_documents(inputs, targets, SEPARATOR)
    last = mask_other_documents(inputs, targets[:, -1], SEPARATOR)
    for i, row in enumerate(rows):
        ids, places = slow_segments(row)
        assert (segment_ids[i], positions[i]) == (ids, places)
        own = [number == ids[0] for number in ids]
        assert weights[i].numpy().tolist() == [float(x) for x in own]
        expected = [token if x else SEPARATOR for token, x in zip(row, own, strict=True)]
        assert masked[i].numpy().tolist() == expected
        expected = [token + 100 if x else SEPARATOR for token, x in zip(row, own, strict=True)]
        assert masked_targets[i].numpy().tolist() == expected
        assert last[1][i] == (row[-1] + 100 if own[-1] else SEPARATOR)
        assert last[2][i] == float(own[-1])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    lines = "\n".join("abcdefghij"[: 1 + i % 10] for i in range(60))
    folder = tmp_path_factory.mktemp("corpus")
    return make(folder, lines, vocabulary="char", document="line", splits=TRAIN)


def test_windows_keep_to_one_document(corpus: Corpus) -> None:
    options = {"seq_len": 8, "stride": 1, "batch_size": 4, "seed": 3}
    plain = corpus.windows("train", **options).take(20)
    masked = corpus.windows("train", **options, across_documents=False).take(20)
    separator = corpus.vocabulary.separator_id
    num_weights = set()
    for (x, y), (mx, my, weights) in zip(plain, masked, strict=True):
        theirs = mask_other_documents(x, y, separator)
        for ours, expected in zip((mx, my, weights), theirs, strict=True):
            np.testing.assert_array_equal(ours, expected)
        for row, weight in zip(mx.numpy(), weights.numpy(), strict=True):
            assert separator not in row[1 : int(weight.sum())]
            num_weights.add(weight.sum())
    assert len(num_weights) > 3
    spec = masked.element_spec
    assert [(s.shape, s.dtype.name) for s in spec] == [
        ((4, 8), "int32"),
        ((4, 8), "int32"),
        ((4, 8), "float32"),
    ]


def test_windows_with_segments(corpus: Corpus) -> None:
    options = {"seq_len": 8, "batch_size": 4, "seed": None}
    dataset = corpus.windows("train", **options, segments=True)
    for (x, y), ((sx, ids, positions), sy) in zip(
        corpus.windows("train", **options).take(9), dataset.take(9), strict=True
    ):
        np.testing.assert_array_equal(x, sx)
        np.testing.assert_array_equal(y, sy)
        for ours, expected in zip(
            (ids, positions), segment(x, corpus.vocabulary.separator_id), strict=True
        ):
            np.testing.assert_array_equal(ours, expected)
    assert all(spec.shape == (4, 8) for spec in tf.nest.flatten(dataset.element_spec))


def test_both_at_once_are_refused(corpus: Corpus) -> None:
    with pytest.raises(OptionError, match="`segments` has no effect"):
        corpus.windows("train", seq_len=4, batch_size=2, segments=True, across_documents=False)
