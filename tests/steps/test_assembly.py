"""assembly: what a configuration comes to on this machine's processors."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from training import assert_same_bits, checkpoint_arrays, tiny

from pipeline import Corpus
from trainer.loop import train
from trainer.steps.assembly import _in_halves


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"precision": "bfloat16"}, True),
        ({"jit": "off"}, True),
        ({"batch_size": 33}, False),
        ({"batch_size": 30}, False),
        ({"model": "gru"}, False),
        ({"accumulate_steps": 2}, False),
        ({"lanes": True}, False),
    ],
)
def test_an_lstms_windows_are_cut_in_halves_on_a_cpu(
    changes: dict[str, Any], expected: bool
) -> None:
    strategy = tf.distribute.get_strategy()
    assert _in_halves(tiny("corpus", "run", **{"batch_size": 32, **changes}), strategy) == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_halves_resume_bit_for_bit(char_corpus: Corpus, tmp_path: Path, precision: str) -> None:
    options = {"batch_size": 32, "layers": 1, "precision": precision, "save_every": 3}
    corpus = char_corpus.directory
    train(tiny(corpus, tmp_path / "stopped", steps=3, **options), quiet=True)
    resumed = train(tiny(corpus, tmp_path / "stopped", steps=6, **options), quiet=True)
    straight = train(tiny(corpus, tmp_path / "straight", steps=6, **options), quiet=True)
    assert resumed.start_step == 3
    assert_same_bits(checkpoint_arrays(resumed.checkpoint), checkpoint_arrays(straight.checkpoint))
