"""Damage as a graph says it, and as what the graph raised is understood."""

from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.layout.sealed import digest_of, sealed
from pipeline.reading.damage import Damage, assert_digest, asserted_damage, damage_message

FILES = (
    "/corpus/text-train.tfrecord-00000-of-00001",
    "gs://bucket/a b [c] 日本: one of the records 1 to 2/x",
    "/corpus with ] and ' and \" and \\/x",
)


def said(file: str, first: int, last: int) -> tf.Tensor:
    return damage_message(
        tf.constant(file), tf.constant(first, tf.int64), tf.constant(last, tf.int64)
    )


@pytest.mark.parametrize("file", FILES)
def test_the_graph_says_what_python_would(file: str) -> None:
    damage = Damage(file=file, first_record=3, last_record=2**40)
    assert said(file, 3, 2**40).numpy().decode() == str(damage)
    assert str(damage).startswith(f"{file}: one of the records 3 to {2**40} is missing or damaged")
    assert "textreel repair" in str(damage)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("in_dataset", [False, True])
def test_what_a_graph_asserts_is_understood(file: str, in_dataset: bool) -> None:
    """Through the error that TensorFlow makes of it, alone and within a dataset."""

    @tf.function
    def check(whole: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(whole, [said(file, 7, 9)])]):
            return tf.constant(1)

    dataset = tf.data.Dataset.from_tensors(False).map(check).prefetch(1)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        _ = list(dataset) if in_dataset else check(tf.constant(False))
    found = asserted_damage(str(raised.value))
    assert found == Damage(file=file, first_record=7, last_record=9)


def test_other_errors_are_not_of_damage() -> None:
    assert asserted_damage("") is None
    assert asserted_damage("assertion failed: [too short]") is None
    damage = Damage(file="/x", first_record=1, last_record=2)
    assert asserted_damage(str(damage)) is None  # nobody asserted it
    assert asserted_damage(f"assertion failed: [{damage}]") == damage


@pytest.mark.timeout(60)
def test_a_sealed_file_that_is_gone_is_no_longer_the_same(tmp_path: Path) -> None:
    """A missing file must not be asked for again and again."""
    path, digest = tmp_path / "manifest.json", digest_of({"a": 1})

    @tf.function
    def check() -> tf.Tensor:
        with tf.control_dependencies([assert_digest(str(path), digest, "it is another one")]):
            return tf.constant(True)

    path.write_text(sealed({"a": 1}))
    assert check()
    for content in ("", sealed({"a": 2}), None):
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(tf.errors.InvalidArgumentError, match="it is another one"):
            check()
