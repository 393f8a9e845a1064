"""ResumeData: what it reads, what it refuses; where the epochs end. Kills: in `integration`."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import Corpus, OptionError, UserError
from pipeline.keras import ResumeData

STEPS, EPOCHS = 6, 3


class Counter(keras.callbacks.Callback):
    """The batches of each epoch; an error in place of the `stop_after`-th batch's end."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.epochs: dict[int, int] = {}
        self.stop_after = stop_after

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._first = epoch, int(self.model.optimizer.iterations.numpy())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.epochs[self._epoch] = int(self.model.optimizer.iterations.numpy()) - self._first
        if self.stop_after is not None and sum(self.epochs.values()) >= self.stop_after:
            raise InterruptedError


class Stop(keras.callbacks.Callback):
    """Stops a training at the end of an epoch, as `EarlyStopping` does."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == self._epoch:
            self.model.stop_training = True


def make_model(corpus: Corpus, optimizer: Any = "adam", **options: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    size = corpus.vocabulary.size
    inputs = keras.Input([8], dtype="int32")
    model = keras.Model(inputs, keras.layers.Dense(size)(keras.layers.Embedding(size, 4)(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, **options)
    return model


def fit(
    corpus: Corpus,
    directory: Path,
    *,
    stop_after: int | None = None,
    save_freq: int | str = 1,
    before: tuple[Any, ...] = (),
    after: tuple[Any, ...] = (),
    optimizer: Any = "adam",
    **options: Any,
) -> tuple[dict[int, int], np.ndarray]:
    """What a training does, with backups: the batches of each epoch, and the weights."""
    resume, counter = ResumeData(directory), Counter(stop_after)
    execution = {"steps_per_execution": options.pop("steps_per_execution", 1)}
    model = make_model(corpus, optimizer, **execution)
    backup = keras.callbacks.BackupAndRestore(directory, save_freq, delete_checkpoint=False)
    options = {"steps_per_epoch": STEPS, "epochs": EPOCHS, "verbose": 0, **options}
    with contextlib.suppress(InterruptedError):
        model.fit(
            corpus.windows("train", seq_len=8, batch_size=4, start_step=resume.step),
            callbacks=[*before, backup, resume, *after, counter],
            **options,
        )
    values = [weight.numpy() for weight in model.weights]
    return counter.epochs, np.concatenate([value.ravel() for value in values])


@pytest.mark.parametrize(
    ("save_freq", "stop_after", "step", "resumed"),
    [
        (1, 8, 8, {1: 4, 2: 6}),
        (1, 6, 6, {1: 6, 2: 6}),
        (4, 11, 8, {1: 4, 2: 6}),
        ("epoch", 11, 6, {1: 6, 2: 6}),
        ("epoch", 5, 0, {0: 6, 1: 6, 2: 6}),
        (1, 18, 18, {}),
    ],
)
def test_every_batch_comes_once(
    char_corpus: Corpus,
    tmp_path: Path,
    save_freq: int | str,
    stop_after: int,
    step: int,
    resumed: dict[int, int],
) -> None:
    _, straight = fit(char_corpus, tmp_path / "straight", save_freq=save_freq)
    cut, directory = {"save_freq": save_freq}, tmp_path / "cut"
    fit(char_corpus, directory, stop_after=stop_after, **cut)
    assert ResumeData(directory).step == step
    epochs, weights = fit(char_corpus, directory, **cut)
    assert epochs == resumed
    assert weights.tobytes() == straight.tobytes()


def test_steps_that_run_together_end_together(char_corpus: Corpus, tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps_per_execution": 4}  # 8 steps an epoch
    _, straight = fit(char_corpus, tmp_path / "straight", **options)
    fit(char_corpus, tmp_path / "cut", stop_after=12, **options)
    epochs, weights = fit(char_corpus, tmp_path / "cut", **options)
    assert epochs == {1: 4, 2: 8}
    assert weights.tobytes() == straight.tobytes()


def test_the_step_is_that_of_the_weights_whatever_the_other_file_says(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    """A kill between the two files of a backup."""
    fit(char_corpus, tmp_path, epochs=1, save_freq="epoch")
    metadata = (tmp_path / "training_metadata.json").read_text()
    fit(char_corpus, tmp_path, epochs=2, save_freq="epoch")
    (tmp_path / "training_metadata.json").write_text(metadata)
    assert fit(char_corpus, tmp_path)[0] == {2: 6}


@pytest.mark.parametrize("place", ["before", "after"])
def test_who_else_stops_a_training_stops_it(
    char_corpus: Corpus, tmp_path: Path, place: str
) -> None:
    fit(char_corpus, tmp_path, stop_after=8)
    assert fit(char_corpus, tmp_path, **{place: (Stop(1),)})[0] == {1: 4}


def test_a_half_written_backup_gives_way_to_the_one_before(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    fit(char_corpus, tmp_path, stop_after=8)
    weights = tmp_path / "latest.weights.h5"
    shutil.copy(weights, f"{weights}.bkp")
    weights.write_bytes(weights.read_bytes()[:1000])
    assert fit(char_corpus, tmp_path)[0] == {1: 4, 2: 6}
    weights.write_bytes(weights.read_bytes()[:1000])
    Path(f"{weights}.bkp").unlink()
    with pytest.raises(UserError, match=r"latest\.weights\.h5 is damaged, as by a kill .*True`"):
        ResumeData(tmp_path)
    # Without what is written after the weights, it was the first of all.
    (tmp_path / "training_metadata.json").unlink()
    assert fit(char_corpus, tmp_path)[0] == {0: 6, 1: 6, 2: 6}


def test_what_cannot_be_is_refused(char_corpus: Corpus, tmp_path: Path) -> None:
    def fails(message: str, directory: Path = tmp_path / "none", **options: Any) -> None:
        with pytest.raises(OptionError, match=message):
            fit(char_corpus, directory, **options)
        shutil.rmtree(tmp_path / "none", ignore_errors=True)

    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    fails("`steps_per_epoch` must be given to `fit`, got None", steps_per_epoch=None)
    fails("`optimizer` must make a step of every batch, got a LossScaleOptimizer", optimizer=scaled)
    fails("`initial_epoch` must be left out of `fit`, got 1", initial_epoch=1)

    class Twice(keras.optimizers.SGD):
        def apply(self, *arguments: Any, **options: Any) -> None:
            super().apply(*arguments, **options)
            super().apply(*arguments, **options)

    fails("`optimizer` must make one step a batch, got 12 steps of 6 batches", optimizer=Twice())

    # Callbacks in another order: nothing is restored yet.
    fit(char_corpus, tmp_path / "cut", stop_after=8)
    restored = ResumeData(tmp_path / "cut")
    fails(
        r"`callbacks` must be a BackupAndRestore of .*cut, then this ResumeData, and the optimizer "
        r"a new one, got an optimizer of 0 steps and a backup of 8",
        directory=tmp_path / "cut",
        before=(restored,),
    )
