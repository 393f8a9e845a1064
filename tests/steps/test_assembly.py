"""assembly: what a configuration comes to on this machine's processors."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from training import assert_same_bits, checkpoint_arrays, tiny

from pipeline import Corpus
from trainer.loop import train
from trainer.steps.assembly import assemble, step_recipe


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"precision": "bfloat16"}, True),
        ({"jit": "off"}, True),
        ({"batch_size": 33}, False),
        ({"batch_size": 30}, False),
        ({"model": "gru", "batch_size": 8}, True),
        ({"model": "mingru", "batch_size": 16}, True),
        ({"model": "transformer", "batch_size": 12}, True),
        ({"model": "transformer", "batch_size": 11}, False),
        ({"accumulate_steps": 2}, False),
        ({"lanes": True}, True),
        ({"lanes": True, "model": "gru"}, True),
        ({"batch_size": 31, "model": "gru"}, False),
    ],
)
def test_a_steps_windows_are_cut_in_halves_on_a_cpu(
    changes: dict[str, Any], expected: bool
) -> None:
    strategy = tf.distribute.get_strategy()
    config = tiny("corpus", "run", **{"batch_size": 32, **changes})
    assert step_recipe(config, strategy).halves == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"precision": "bfloat16"}, False),
        ({"jit": "off"}, False),
        ({"model": "gru"}, False),
        ({"model": "gru", "jit": "on"}, True),
        ({"model": "mingru"}, False),
        ({"model": "mingru", "jit": "on"}, True),
        ({"model": "transformer"}, False),
        ({"batch_size": 33}, False),
    ],
)
def test_xla_compiles_what_it_makes_faster_or_is_told_to(
    changes: dict[str, Any], expected: bool
) -> None:
    config = tiny("corpus", "run", **{"batch_size": 32, **changes})
    assert step_recipe(config, tf.distribute.get_strategy()).jit == expected


@pytest.mark.parametrize(("targets", "tokens_per_row"), [("sequence", 16), ("last", 1)])
def test_options_reach_the_recipe(targets: str, tokens_per_row: int) -> None:
    options = {"clip_norm": 0.5, "label_smoothing": 0.1, "accumulate_steps": 2}
    recipe = step_recipe(
        tiny("corpus", "run", targets=targets, **options), tf.distribute.get_strategy()
    )
    assert (recipe.batch_size, recipe.tokens_per_row) == (8, tokens_per_row)
    assert {name: getattr(recipe, name) for name in options} == options


def test_what_is_put_together_fits_together() -> None:
    config = tiny("corpus", "run", lanes=True, pretrained_embeddings=None)
    assembly = assemble(config, 9)
    assert assembly.runner.step.model is assembly.model
    assert assembly.runner.step.optimizer is assembly.optimizer
    assert assembly.runner.step.strategy is assembly.strategy
    assert assembly.lanes is not None
    assert [part.shape[0] for part in assembly.lanes.saved] == [config.batch_size] * 4
    assert assemble(tiny("corpus", "run"), 9).lanes is None
    assert float(assembly.learning_rate(0)) == pytest.approx(config.learning_rate)


@pytest.mark.parametrize("model", ["lstm", "gru", "mingru"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_halves_resume_bit_for_bit(
    char_corpus: Corpus, tmp_path: Path, model: str, precision: str
) -> None:
    options: dict[str, Any] = {
        "model": model,
        "batch_size": 32,
        "layers": 1,
        "precision": precision,
        "save_every": 3,
    }
    corpus = char_corpus.directory
    train(tiny(corpus, tmp_path / "stopped", steps=3, **options), quiet=True)
    resumed = train(tiny(corpus, tmp_path / "stopped", steps=6, **options), quiet=True)
    straight = train(tiny(corpus, tmp_path / "straight", steps=6, **options), quiet=True)
    assert resumed.start_step == 3
    assert_same_bits(checkpoint_arrays(resumed.checkpoint), checkpoint_arrays(straight.checkpoint))
