import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import OptionError, UserError
from pipeline.preparing.plan import PrepareOptions, plan_pieces, shard_file_name
from pipeline.text.sources import Source


def sources_of(sizes):
    return [Source(path=f"/{i}", name=f"{i}.txt", num_bytes=n) for i, n in enumerate(sizes)]


def cut_at_once(source, offset, search_bytes):
    return offset


def covered(plan):
    """Every (source, start, stop), over all splits."""
    pieces = [piece for shards in plan.values() for shard in shards for piece in shard]
    return sorted((int(p.source.path[1:]), p.start, p.stop) for p in pieces)


@settings(max_examples=300)
@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=30),
    st.integers(64, 5000),
    st.sampled_from([{"train": 1.0}, {"train": 0.9, "test": 0.1}, {"a": 0.3, "b": 0.3, "c": 0.4}]),
    st.integers(0, 70),
)
def test_every_byte_of_every_source_exactly_once(sizes, shard_bytes, splits, jump):
    def find_cut(source, offset, search_bytes):
        return min(offset + min(jump, search_bytes), source.num_bytes)

    options = PrepareOptions(shard_bytes=shard_bytes, splits=splits)
    try:
        plan = plan_pieces(sources_of(sizes), options, find_cut=find_cut)
    except UserError:
        # A split may be no text at all, but only a small one.
        small = sum(sizes) * min(splits.values()) < 200
        assume(not small)
        raise
    for index, pieces in itertools.groupby(covered(plan), key=lambda piece: piece[0]):
        position = 0
        for _, start, stop in pieces:
            assert start == position < stop
            position = stop
        assert position == sizes[index]
    assert len({index for index, _, _ in covered(plan)}) == len(sizes)
    for shards in plan.values():
        assert all(shard for shard in shards)
        largest = max(min(size, shard_bytes) for size in sizes)
        for shard in shards:
            assert sum(p.stop - p.start for p in shard) <= shard_bytes + largest + 70


def test_many_documents_go_to_splits_whole():
    sizes = [100] * 1000
    options = PrepareOptions(splits={"train": 0.9, "test": 0.1}, shard_bytes=2000)
    plan = plan_pieces(sources_of(sizes), options, find_cut=cut_at_once)
    assert covered(plan) == [(i, 0, 100) for i in range(1000)]
    assert 60 <= sum(len(shard) for shard in plan["test",]) <= 140
    more = plan_pieces(sources_of([100] * 1001), options, find_cut=cut_at_once)
    before, after = ({p.source.name for s in x["test",] for p in s} for x in (plan, more))
    assert before <= after  # a document's split does not depend on the others


def test_one_document_is_cut_into_ranges():
    options = PrepareOptions(splits={"train": 0.75, "test": 0.25}, shard_bytes=300)
    plan = plan_pieces(sources_of([1000]), options, find_cut=cut_at_once)
    ranges = {
        split: [(p.start, p.stop) for shard in shards for p in shard]
        for (split,), shards in plan.items()
    }
    assert ranges == {"train": [(0, 250), (250, 500), (500, 750)], "test": [(750, 1000)]}


def test_small_documents_are_not_cut_between_shards():
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=250)
    plan = plan_pieces(sources_of([100] * 7 + [600]), options, find_cut=cut_at_once)
    pieces = [[(int(p.source.path[1:]), p.start, p.stop) for p in s] for s in plan["train",]]
    assert all(start == 0 for shard in pieces for i, start, _ in shard if i < 7)
    assert len(pieces) == 6


def test_a_split_without_text_is_refused():
    with pytest.raises(UserError, match=r"test=0.01 of 20 bytes is no text at all.*train=1"):
        plan_pieces(
            sources_of([20]),
            PrepareOptions(splits={"train": 0.99, "test": 0.01}),
            find_cut=cut_at_once,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record_tokens": 0}, r"`record_tokens` must be between 1 and 16777216, not 0"),
        ({"shard_bytes": 63}, r"`shard_bytes` must be at least 64, not 63"),
        ({"name": "1st"}, r"`name` must be a letter.*not '1st'"),
        ({"vocabulary": ""}, r"`vocabulary` is empty"),
        ({"splits": {}}, r"`splits` is empty"),
        ({"splits": {"train": 0.5, "test": 0.4}}, r"`splits` must sum to 1, not to 0.9"),
        ({"splits": {"train": 1.0, "test": 0.0}}, r"the fraction of test must be in \(0, 1\]"),
        ({"splits": {"a/b": 1.0}}, r"a split's name is letters and digits, not 'a/b'"),
    ],
)
def test_invalid_options_cannot_exist(options, message):
    with pytest.raises(OptionError, match=message):
        PrepareOptions(**options)


def test_file_names_are_those_of_tfds():
    assert shard_file_name("text", "train", 3, 16) == "text-train.tfrecord-00003-of-00016"
