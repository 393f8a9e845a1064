"""Keras: what `model.fit` needs, so that a training goes on with the batch that comes next.

Imported by those who use Keras alone: `import pipeline.keras`.
"""

import math
import os
from typing import Any

import h5py
import keras

from pipeline.errors import OptionError, UserError

_END_OF_EPOCH = object()  # as `stop_training`: true, and told from what other callbacks set


class ResumeData(keras.callbacks.Callback):
    """Data that goes on where `keras.callbacks.BackupAndRestore` goes on with the weights.

        resume = pipeline.keras.ResumeData("BACKUP")
        dataset = corpus.windows("train", seq_len=64, batch_size=64, start_step=resume.step)
        backup = keras.callbacks.BackupAndRestore("BACKUP", save_freq=500)
        model.fit(dataset, steps_per_epoch=1000, epochs=20, callbacks=[backup, resume])

    Run again after it was killed, this trains on every batch from the backup's on, once: an epoch
    that was cut off has only its missing batches, and the weights of step `k` are those of a
    training that never stopped. (Not so under `Dropout`, of whose random numbers Keras backs up
    no count: a restart draws from their beginning.) Backups are by the epoch or by batches.

    How many batches the weights have seen, the optimizer counts, in the file that holds them. So
    it makes one step a batch, and is not a `LossScaleOptimizer`, which leaves some steps out.

    Args:
        backup_dir: that of `BackupAndRestore`, which comes before this one in `callbacks`.

    Attributes:
        step: the batches that the backup's weights have seen, the `start_step` of the dataset; 0
            where there is no backup.

    Raises:
        UserError: there is a backup, but it cannot be read.
    """

    def __init__(self, backup_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        self.backup_dir = os.fspath(backup_dir)
        self.step = _saved_step(self.backup_dir)
        self._epoch_steps = 0
        self._cut_epoch_end: int | None = None  # the optimizer's steps then

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes the epoch from the step, once the weights are restored.

        The backup's own epoch may be one behind: it stands in another file than the weights.

        Raises:
            OptionError: `fit`, the model or the callbacks are not as they must be.
        """
        optimizer, steps = self.model.optimizer, self.params["steps"]
        if not steps:
            raise OptionError(f"`steps_per_epoch` must be given to `fit`, got {steps}")
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise OptionError(
                "`optimizer` must make a step of every batch, got a LossScaleOptimizer, which "
                "leaves some out; train in bfloat16 or float32"
            )
        made = _num_steps(optimizer)
        if made != self.step:
            raise OptionError(
                f"`callbacks` must be a BackupAndRestore of {self.backup_dir}, then this "
                f"ResumeData, and the optimizer a new one, got an optimizer of {made} steps and a "
                f"backup of {self.step} when `ResumeData` was made"
            )
        executed_at_once = self.model.steps_per_execution
        self._epoch_steps = math.ceil(steps / executed_at_once) * executed_at_once
        epoch, done = divmod(self.step, self._epoch_steps)
        self._cut_epoch_end = (epoch + 1) * self._epoch_steps if done else None
        if self.step:
            self.model._initial_epoch = epoch  # as BackupAndRestore has done

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Refuses epochs that are not counted from the first batch on.

        Raises:
            OptionError: `fit` begins elsewhere.
        """
        if epoch != _num_steps(self.model.optimizer) // self._epoch_steps:
            raise OptionError(f"`initial_epoch` must be left out of `fit`, got {epoch}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the epoch that was cut off when its last batch has come.

        By the optimizer's count: of steps that run together, `batch` is the first for some
        versions of Keras, the last for others.
        """
        end = self._cut_epoch_end
        if end is not None and _num_steps(self.model.optimizer) >= end:
            self.model.stop_training = _END_OF_EPOCH

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Lets the next epoch begin after one that was cut off.

        Raises:
            OptionError: the optimizer does not count the batches.
        """
        self._cut_epoch_end = None
        if self.model.stop_training is _END_OF_EPOCH:
            self.model.stop_training = False
        made, wanted = _num_steps(self.model.optimizer), (epoch + 1) * self._epoch_steps
        if made != wanted and not self.model.stop_training:
            raise OptionError(
                f"`optimizer` must make one step a batch, got {made} steps of {wanted} batches"
            )


def _num_steps(optimizer: Any) -> int:
    """The steps that an optimizer has made; with accumulated gradients, the batches."""
    return int(optimizer.variables[0].numpy())


def _saved_step(backup_dir: str) -> int:
    """The steps of the optimizer in the backup that `BackupAndRestore` will take."""
    path = os.path.join(backup_dir, "latest.weights.h5")
    if not os.path.exists(path):
        return 0
    try:
        return _step_in(path)
    except (OSError, KeyError) as error:
        if os.path.exists(f"{path}.bkp"):  # what `double_checkpoint` keeps
            return _step_in(f"{path}.bkp")
        if not os.path.exists(os.path.join(backup_dir, "training_metadata.json")):
            # It follows the weights, so the first save of all did not end. Keras would fail.
            os.remove(path)
            return 0
        raise UserError(
            f"{path} is damaged, as by a kill while it was saved ({error}); remove {backup_dir} to "
            "begin anew, and let BackupAndRestore keep two: `double_checkpoint=True`"
        ) from error


def _step_in(path: str) -> int:
    """The steps of the optimizer in a file of weights: its first variable."""
    with h5py.File(path) as file:
        return int(file["optimizer/vars/0"][()])
