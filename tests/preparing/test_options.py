"""Options of a corpus: each rule, and the flags that are made from them."""

import argparse
from typing import Any

import numpy as np
import pytest

from pipeline import OptionError, PrepareOptions
from pipeline.options import add_flags, from_flags
from pipeline.text.pieces import Reading


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record_tokens": 0}, r"`record_tokens` must be an integer of at least 1, got 0"),
        ({"record_tokens": 2**24 + 1}, r"`record_tokens` must be at most 16777216, got 16777217"),
        ({"shard_bytes": 63}, r"`shard_bytes` must be an integer of at least 64, got 63"),
        ({"shard_bytes": 1e6}, r"`shard_bytes` must be an integer of at least 64, got 1000000.0"),
        ({"name": "1st"}, r"`name` must be a letter.*got '1st'"),
        ({"name": ""}, r"`name` must not be empty, got ''"),
        ({"vocabulary": ""}, r"`vocabulary` must not be empty, got ''"),
        ({"splits": {}}, r"`splits` must not be empty, got \{\}"),
        ({"splits": {"train": 0.5, "test": 0.4}}, r"`splits` must sum to 1, got 0.9"),
        ({"splits": {"train": 1.0, "test": 0.0}}, r"the fraction of test must be in \(0, 1\], got"),
        ({"splits": {"a/b": 1.0}}, r"the name of a split must be letters and digits, got 'a/b'"),
        ({"vocabulary": "bpe:256"}, "between 257 and 1048576.*got 'bpe:256'"),
        ({"vocabulary": "bpe:x"}, "`vocabulary` bpe:SIZE must have a number"),
        ({"vocabulary": "bpe"}, "`vocabulary` bpe:SIZE must have a number"),
        ({"vocabulary": "byte", "min_count": 2}, "`min_count` 2 has no effect"),
        ({"min_count": 0}, "`min_count` must be an integer of at least 1, got 0"),
        ({"unknown": "skip"}, "`unknown` must be one of error, replace, got 'skip'"),
        ({"vocabulary": "char", "unknown": "replace"}, "`unknown` replace has no effect"),
        ({"normalize": True}, "`normalize` has no effect"),
        ({"vocabulary": "bpe:300", "normalize": True}, "`normalize` has no effect"),
        ({"document": "word"}, "`document` must be file, line, blank_line or a separator"),
        ({"document": ""}, "`document` must not be empty, got ''"),
        ({"text_field": ""}, "`text_field` must not be empty"),
    ],
)
def test_invalid_options_cannot_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        PrepareOptions(**options)


def test_what_the_options_mean() -> None:
    assert PrepareOptions(vocabulary="bpe:8192").bpe_size == 8192
    for vocabulary in ("byte", "char", "some/bpe", "bpe.json"):
        assert PrepareOptions(vocabulary=vocabulary).bpe_size is None
    assert not PrepareOptions().replaces_unknown
    assert PrepareOptions(vocabulary="char", min_count=2).replaces_unknown
    assert PrepareOptions(vocabulary="a corpus", unknown="replace").replaces_unknown
    options = PrepareOptions(document="line", text_field="body")
    assert options.reading == Reading(document="line", text_field="body")


def test_integers_of_numpy_stand_in_a_manifest_as_integers() -> None:
    options = PrepareOptions(shard_bytes=np.int64(100), record_tokens=np.int32(5))
    assert options == PrepareOptions(shard_bytes=100, record_tokens=5)
    assert (type(options.shard_bytes), type(options.record_tokens)) == (int, int)


def test_no_two_instances_share_their_splits() -> None:
    first, second = PrepareOptions(), PrepareOptions()
    first.splits["train"] = 0.0
    assert second.splits == {"train": 0.98, "validation": 0.02}


def parsed(*arguments: str) -> PrepareOptions:
    parser = argparse.ArgumentParser()
    add_flags(parser, PrepareOptions)
    return from_flags(PrepareOptions, parser.parse_args(arguments))


def test_flags_say_what_arguments_say() -> None:
    assert parsed() == PrepareOptions()
    given = parsed(
        "--vocabulary=char", "--name=x", "--splits=a=.25,b=0.75", "--shard_bytes=100",
        "--record_tokens=7", "--document=line", "--text_field=t", "--min_count=2",
    )  # fmt: skip
    assert given == PrepareOptions(
        vocabulary="char",
        name="x",
        splits={"a": 0.25, "b": 0.75},
        shard_bytes=100,
        record_tokens=7,
        document="line",
        text_field="t",
        min_count=2,
    )


@pytest.mark.parametrize("splits", ["train", "a=.5,a=.5", "a=x", "", "a=1,"])
def test_splits_that_cannot_be_read_say_how_they_are_written(
    splits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(f"--splits={splits}")
    assert (
        "argument --splits: must be of the form train=0.98,validation=0.02, each name once, got "
        f"{splits!r}" in capsys.readouterr().err
    )
