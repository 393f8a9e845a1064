"""trainer.generate: reproducible text from a run, and clear errors without one."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from training import read_events, tiny

from pipeline import Corpus, OptionError, UserError
from pipeline.vocabulary import ByteVocabulary, CharVocabulary
from trainer.checkpoint import DIRECTORY
from trainer.generate import Sampler, choose_token, generate, shown
from trainer.loop import train
from trainer.models.recurrent import RecurrentModel


@pytest.fixture(scope="module")
def run(char_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    settings: dict[str, Any] = {"steps": 150, "learning_rate": 1e-2, "targets": "last", "stride": 3}
    settings |= {"eval_every": 150, "sample_tokens": 60}
    train(tiny(char_corpus.directory, directory, **settings), quiet=True)
    return directory


@pytest.fixture(scope="module")
def byte_run(byte_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("byte_run")
    train(tiny(byte_corpus.directory, directory, steps=2), quiet=True)
    return directory


def text(run: Path, **options: object) -> str:
    return "".join(generate(run, **{"tokens": 60, **options}))  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_text_and_every_option_changes_it(run: Path) -> None:
    first = text(run, seed=1)
    assert len(first) == 60
    assert text(run, seed=1) == first
    assert text(run, seed=1, tokens=20) == first[:20]
    changed = [text(run, seed=1, prompt="ipsum "), text(run, seed=1, temperature=1.5)]
    assert len({first, text(run, seed=2), *changed}) == 4


def test_temperature_0_takes_the_likeliest(run: Path) -> None:
    greedy = text(run, temperature=0, seed=1)
    assert text(run, temperature=0, seed=2) == greedy
    assert text(run, temperature=1e-6, seed=3) == greedy


def test_a_run_gives_the_text_that_its_training_showed(run: Path) -> None:
    """The restored weights are the trained ones, the vocabulary is the run's."""
    (shown_text,) = read_events(run)["sample/temperature_0.5"].values()
    lines = [line.removeprefix("    ") for line in shown_text.decode().split("\n")]
    generated = text(run, temperature=0.5, seed=0)
    assert "\n".join(lines) == generated.replace("\0", "\n")


def test_text_goes_on_where_the_prompt_ends(run: Path) -> None:
    """Reading generated text as the prompt leads to the same state as generating it."""
    start = text(run, prompt="lorem", temperature=0, tokens=30)
    whole = text(run, prompt="lorem", temperature=0, tokens=60)
    assert text(run, prompt="lorem" + start, temperature=0, tokens=30) == whole[30:]


def test_bytes_come_as_whole_characters(byte_run: Path) -> None:
    pieces = list(generate(byte_run, prompt="日", tokens=50, temperature=1.0))
    assert len(pieces) == 50
    assert "".join(pieces).encode()  # no half of a surrogate pair, no error


class Spoken(RecurrentModel):
    """Says given ids whatever it reads."""

    def step(self, tokens, state):  # type: ignore[no-untyped-def]
        position = tf.cast(state[0][0][0, 0], tf.int32)
        logits = tf.one_hot([tf.constant(list("a日b".encode()))[position]], 256) * 100.0
        return logits, [[hidden + 1, cell] for hidden, cell in state]


def test_a_character_of_several_bytes_comes_with_its_last_byte() -> None:
    model = Spoken(cell="lstm", vocabulary_size=256, num_layers=1, units=2, embedding_dim=2)
    model.build()
    sampler = Sampler(model, ByteVocabulary())
    assert list(sampler.pieces(num_tokens=4, temperature=0, seed=0)) == ["a", "", "", "日"]
    # A text that ends within a character says so.
    assert list(sampler.pieces(num_tokens=2, temperature=0, seed=0)) == [
        "a",
        "\N{REPLACEMENT CHARACTER}",
    ]


def test_draws_follow_the_tempered_distribution() -> None:
    probabilities = np.array([0.5, 0.3, 0.2])
    logits = tf.constant(np.tile(np.log(probabilities), (20_000, 1)), tf.float32)
    for temperature in (1.0, 0.5):
        drawn = choose_token(logits, tf.constant(temperature), tf.constant([1, 2]))
        expected = probabilities ** (1 / temperature) / (probabilities ** (1 / temperature)).sum()
        np.testing.assert_allclose(np.bincount(drawn) / 20_000, expected, atol=0.02)


def test_a_document_end_is_shown_as_a_newline() -> None:
    assert shown("a\0b", CharVocabulary([ord("a")])) == "a\nb"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": -1}, "`tokens` must be at least 0, got -1"),
        ({"temperature": -0.5}, "`temperature` must be at least 0 and finite, got -0.5"),
        ({"temperature": float("nan")}, "`temperature` must be at least 0 and finite, got nan"),
        ({"seed": -1}, "`seed` must be at least 0 and below 2**31, got -1"),
    ],
)
def test_bad_options(run: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError) as error:
        generate(run, **options)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_a_prompt_that_the_vocabulary_lacks(run: Path) -> None:
    with pytest.raises(UserError, match="characters that the vocabulary lacks: 'Q'"):
        generate(run, prompt="Q")


def test_a_directory_that_is_no_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`run` .* is not the directory of a run"):
        generate(tmp_path / "none")
    shutil.copytree(run, tmp_path / "new")
    shutil.rmtree(tmp_path / "new" / DIRECTORY)
    with pytest.raises(UserError, match="has no checkpoint yet; `textreel train` writes one"):
        generate(tmp_path / "new")
