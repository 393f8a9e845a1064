"""pretrained: where embeddings start, when they move, resuming."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from blake3 import blake3
from corpora import write
from training import assert_same_bits, checkpoint_arrays, run_child, tiny

from pipeline import Corpus, UserError
from trainer.config import run_config
from trainer.embeddings.pretrained import start_from
from trainer.embeddings.vectors import Vectors, words_of
from trainer.evaluation.evaluate import evaluate
from trainer.generation.sampler import generate
from trainer.loop import TrainResult, train

DIM = 5


@pytest.fixture
def file(char_corpus: Corpus, tmp_path: Path) -> Path:
    """Vectors of every second symbol."""
    vocabulary = char_corpus.vocabulary
    lines = [
        f"{words_of(vocabulary, token)[0]} " + " ".join(str(token + i / 8) for i in range(DIM))
        for token in range(0, vocabulary.size, 2)
    ]
    return write(tmp_path / "vectors.txt", "\n".join(lines) + "\n")


def run(corpus: Corpus, output: Path, file: Path | None, **changes: Any) -> TrainResult:
    settings = {"embedding_dim": None, "pretrained_embeddings": file and str(file), **changes}
    return train(tiny(corpus.directory, output, **settings), quiet=True)


def embeddings(result: TrainResult, step: int) -> np.ndarray:
    path = f"{result.checkpoint.rpartition('-')[0]}-{step}"
    return checkpoint_arrays(path)["variables/0/.ATTRIBUTES/VARIABLE_VALUE"]


def test_ids_of_the_file_start_from_it_and_the_others_at_its_scale() -> None:
    keras.utils.set_random_seed(1)
    layer = keras.layers.Embedding(400, 8)
    layer.build((None, None))
    before = layer.embeddings.numpy()
    values = np.random.default_rng(0).normal(2, 3, size=(150, 8)).astype(np.float32)
    ids = np.arange(0, 300, 2)
    start_from(Vectors(path="file", ids=ids, values=values, num_ids=400), layer)
    after = layer.embeddings.numpy()
    np.testing.assert_array_equal(after[ids], values)
    others = np.setdiff1d(np.arange(400), ids)
    ratio = after[others] / before[others]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert np.square(after[others]).mean() == pytest.approx(np.square(values).mean(), rel=1e-4)


@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_vectors_are_frozen_then_tuned(
    char_corpus: Corpus, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dim = 16 if model == "transformer" else DIM
    size = char_corpus.vocabulary.size
    vectors = np.random.default_rng(0).normal(size=(size, dim)).astype(np.float32)
    np.save(tmp_path / "a.npy", vectors)
    config = tiny(
        char_corpus.directory,
        tmp_path / "run",
        model=model,
        embedding_dim=None,
        pretrained_embeddings=str(tmp_path / "a.npy"),
        freeze_embeddings_steps=7,
        save_every=1,
        keep_checkpoints=20,
    )
    result = train(config)
    assert f"a.npy: vectors of {size} of {size} ids\n" in capsys.readouterr().out
    steps = [embeddings(result, step) for step in range(1, 13)]
    for step in range(7):
        assert steps[step].tobytes() == vectors.tobytes()
    moved = [np.abs(steps[step] - steps[step - 1]).max() for step in range(7, 12)]
    # Adam's steps have the size of the learning rate, the first ones too.
    assert min(moved) > config.learning_rate / 10
    assert max(moved) < config.learning_rate * 2


def test_options_change_the_loss(char_corpus: Corpus, tmp_path: Path, file: Path) -> None:
    other = write(tmp_path / "other.txt", file.read_text().replace(".5", ".25"))
    losses = [
        run(char_corpus, tmp_path / str(index), path, freeze_embeddings_steps=freeze).loss
        for index, (path, freeze) in enumerate([(file, 0), (file, 5), (other, 0)])
    ]
    losses.append(run(char_corpus, tmp_path / "random", None, embedding_dim=DIM).loss)
    assert len(set(losses)) == len(losses), losses


def test_always_frozen(char_corpus: Corpus, tmp_path: Path, file: Path) -> None:
    result = run(char_corpus, tmp_path / "run", file, freeze_embeddings_steps=-1)
    assert embeddings(result, 6).tobytes() == embeddings(result, 12).tobytes()


def test_stopped_before_at_and_after_thawing_is_straight_bit_for_bit(
    char_corpus: Corpus, tmp_path: Path, file: Path
) -> None:
    options = {"freeze_embeddings_steps": 6}
    for stop in (3, 6, 9, 12):
        resumed = run(char_corpus, tmp_path / "run", file, steps=stop, **options)
        assert resumed.start_step == stop - 3
    straight = run(char_corpus, tmp_path / "straight", file, **options)
    first, second = (checkpoint_arrays(r.checkpoint) for r in (resumed, straight))
    assert_same_bits(first, second)


def test_after_the_first_start_the_file_may_be_gone_but_not_be_another(
    char_corpus: Corpus, tmp_path: Path, file: Path
) -> None:
    output = tmp_path / "run"
    run(char_corpus, output, file, steps=6)
    assert run_config(output).embedding_dim == DIM
    other = write(tmp_path / "other.txt", file.read_text() + "zz 1 2 3 4 5\n")
    with pytest.raises(UserError) as error:
        run(char_corpus, output, other)
    old, new = (blake3(path.read_bytes()).hexdigest() for path in (file, other))
    assert f"`pretrained_embeddings`: the run has '{old}', now '{new}'" in str(error.value)
    with pytest.raises(UserError, match=r"`pretrained_embeddings`: the run has '.*', now None"):
        run(char_corpus, output, None, embedding_dim=DIM)
    moved = Path(shutil.move(file, tmp_path / "moved.txt"))
    shutil.copytree(output, tmp_path / "copy")
    gone = run(char_corpus, output, file)
    there = run(char_corpus, tmp_path / "copy", moved)
    assert gone.start_step == there.start_step == 6
    assert_same_bits(checkpoint_arrays(gone.checkpoint), checkpoint_arrays(there.checkpoint))
    moved.unlink()
    assert len("".join(generate(output, tokens=9))) == 9
    assert evaluate(output).evaluation.loss > 0


def test_files_that_do_not_fit_leave_nothing_behind(
    char_corpus: Corpus, tmp_path: Path, file: Path
) -> None:
    for changes, message in [
        ({"embedding_dim": 6}, "vectors of `embedding_dim` (6) numbers, those of"),
        ({"model": "transformer"}, "vectors of `embedding_dim` (16) numbers, those of"),
        ({"pretrained_embeddings": "none.txt"}, "no such file or directory: none.txt"),
    ]:
        with pytest.raises(UserError) as error:
            run(char_corpus, tmp_path / "run", file, **changes)
        assert message in str(error.value)
        assert not (tmp_path / "run").exists()


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.loop import train
corpus, output, file = sys.argv[1:]
result = train(tiny(corpus, output, strategy="mirrored", dropout=0.0, embedding_dim=None,
                    pretrained_embeddings=file, freeze_embeddings_steps=7), quiet=True)
print(result.loss, result.checkpoint)
"""


def test_two_replicas_freeze_as_one_does(char_corpus: Corpus, tmp_path: Path, file: Path) -> None:
    loss, checkpoint = run_child(
        TWO_REPLICAS, char_corpus.directory, str(tmp_path / "two"), str(file)
    ).split()
    one = run(char_corpus, tmp_path / "one", file, dropout=0.0, freeze_embeddings_steps=7)
    assert float(loss) == pytest.approx(one.loss, rel=1e-5)
    prefix = checkpoint.rpartition("-")[0]
    name = "variables/0/.ATTRIBUTES/VARIABLE_VALUE"
    frozen, tuned = (checkpoint_arrays(f"{prefix}-{step}")[name] for step in (6, 12))
    assert frozen.tobytes() == embeddings(one, 6).tobytes()
    np.testing.assert_allclose(tuned, embeddings(one, 12), atol=2e-4)
