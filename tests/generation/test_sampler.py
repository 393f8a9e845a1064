"""sampler: reproducible text from a run, and clear errors without one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from training import read_events, tiny

from pipeline import Corpus, OptionError, UserError
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from trainer.generation.request import Request
from trainer.generation.sampler import Sampler, generate, load_sampler, screen_text
from trainer.loop import train
from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.run.checkpoint import BEST_DIRECTORY, DIRECTORY, restore_weights


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
    return "".join(generate(run, **{"tokens": 60, **options}))


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
    model = Spoken(
        RecurrentArchitecture(
            cell="lstm", vocabulary_size=256, num_layers=1, units=2, embedding_dim=2
        )
    )
    model.build()
    sampler = Sampler(model, ByteVocabulary())
    assert list(sampler.stream(Request(tokens=4, temperature=0))) == ["a", "", "", "日"]
    # A text that ends within a character says so.
    assert list(sampler.stream(Request(tokens=2, temperature=0))) == [
        "a",
        "\N{REPLACEMENT CHARACTER}",
    ]


def test_a_text_ends_before_a_stop_text(run: Path) -> None:
    whole = text(run, seed=4)
    stop = whole[20:26]  # of several tokens
    before = whole[: whole.index(stop)]
    assert text(run, seed=4, stop=(stop,)) == before
    assert text(run, seed=4, stop=("Q", whole[10:13], stop)) == whole[: whole.index(whole[10:13])]
    assert text(run, seed=4, stop=(whole[-1] + "Q",)) == whole  # held back, then let go


def test_filters_change_the_text(run: Path) -> None:
    greedy, whole = text(run, temperature=0), text(run, temperature=1.5)
    assert text(run, temperature=1.5, top_k=1) == greedy
    assert text(run, temperature=1.5, top_p=1e-6) == greedy
    filtered = {text(run, temperature=1.5, top_k=3), text(run, temperature=1.5, top_p=0.5)}
    assert len(filtered | {whole, greedy}) == 4


def test_a_sample_is_the_same_among_any_number_of_samples(run: Path) -> None:
    sampler = load_sampler(run)
    request = Request(prompt="lorem ", tokens=40, seed=5)
    texts = sampler.texts(request, 5)
    assert len(set(texts)) == 5
    for samples in (1, 2, 4):
        assert sampler.texts(request, samples) == texts[:samples]
    assert "".join(sampler.stream(request)) == texts[0]
    assert all(
        map(texts[1].startswith, sampler.texts(Request(prompt="lorem ", seed=5, tokens=9), 2)[1:])
    )


def test_each_sample_ends_at_its_own_stop_text(run: Path) -> None:
    sampler = load_sampler(run)
    whole = sampler.texts(Request(tokens=60, seed=6, temperature=1), 3)
    stopped = sampler.texts(Request(tokens=60, seed=6, temperature=1, stop=("m", " ")), 3)
    assert stopped == [min(text.split("m")[0], text.split(" ")[0], key=len) for text in whole]


@pytest.mark.parametrize("chunk", [1, 7])
def test_the_size_of_chunks_changes_nothing(
    run: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = text(run, seed=7)
    monkeypatch.setattr("trainer.generation.sampler._MAX_CHUNK", chunk)
    assert text(run, seed=7) == expected


def test_a_document_end_is_shown_as_a_newline() -> None:
    assert screen_text("a\0b", CharVocabulary([ord("a")])) == "a\nb"


def test_the_checkpoint_is_the_one_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def note(path: str, *arguments: Any) -> None:
        taken.append(path)
        restore_weights(path, *arguments)

    monkeypatch.setattr("trainer.generation.sampler.restore_weights", note)
    assert text(run, checkpoint="newest") == text(run)  # this run was evaluated once, at its end
    assert taken == [f"{run}/{folder}/ckpt-150" for folder in (DIRECTORY, BEST_DIRECTORY)]


def test_there_is_at_least_one_sample(run: Path) -> None:
    with pytest.raises(OptionError, match="`samples` must be at least 1, got 0"):
        load_sampler(run).texts(Request(), 0)


def test_a_prompt_that_the_vocabulary_lacks(run: Path) -> None:
    with pytest.raises(UserError, match="characters that the vocabulary lacks: 'Q'"):
        generate(run, prompt="Q")


def test_a_directory_that_is_no_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`run` .* is not the directory of a run"):
        generate(tmp_path / "none")
    shutil.copytree(run, tmp_path / "new")
    for directory in (DIRECTORY, BEST_DIRECTORY):
        shutil.rmtree(tmp_path / "new" / directory)
    with pytest.raises(UserError, match="has no checkpoint yet; `textreel train` writes one"):
        generate(tmp_path / "new")
