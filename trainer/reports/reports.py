"""Reports of a run: on the terminal, in its metrics and in its TensorBoard files."""

import contextlib
import dataclasses
import math
import time
from typing import Any

import keras

from pipeline.files import join
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig
from trainer.evaluation.evaluator import Evaluation
from trainer.reports.events import TRAIN_EVENTS, EventWriter
from trainer.reports.hparams import PLUGIN, TAG, changed_options, session_bytes
from trainer.reports.meter import TrainingFigures, peak_memory
from trainer.reports.metrics import Entry, MetricsFile
from trainer.reports.own_log import OwnLog
from trainer.reports.projector import write_embeddings
from trainer.reports.summary import summary_text
from trainer.reports.terminal import Progress

_ROW = ""


class Reports:
    """Every report of one call of `train`.

    Args:
        config: the run's options.
        start_step: steps that earlier calls did.
        quiet: shows nothing on the terminal; files are written all the same.

    Attributes:
        start_seconds: the time that earlier calls spent in training steps.

    Raises:
        UserError: the metrics that earlier calls wrote are damaged, or see `OwnLog`.
    """

    def __init__(self, config: TrainConfig, *, start_step: int, quiet: bool) -> None:
        self._config = config
        self._metrics = MetricsFile(config.output, start_step=start_step)
        self._progress = Progress(num_steps=config.steps, start_step=start_step, quiet=quiet)
        # Two runs of TensorBoard, whose curves of the same name lie over each other.
        self._events = {
            kind: EventWriter(join(config.events_directory, kind), start_step=start_step)
            for kind in (TRAIN_EVENTS, "validation")
        }
        # The directory around them is their row on the page HParams.
        self._events[_ROW] = EventWriter(config.events_directory, start_step=start_step)
        content = session_bytes(changed_options(config), started=time.time())
        self._events[_ROW].plugin_data(PLUGIN, TAG, content, step=start_step)
        self._own_log = None if config.log_to is None else OwnLog(config, self._progress.warning)
        self._rate_changes = False
        seconds = [entry.get("seconds") for entry in self._metrics.kept if entry["kind"] == "train"]
        self.start_seconds = float(seconds[-1] or 0.0) if seconds else 0.0
        self._validations = [entry for entry in self._metrics.kept if entry["kind"] == "validation"]

    def message(self, text: str) -> None:
        """Prints a text of whole lines."""
        self._progress.message(text)

    def if_slow(self, text: str) -> contextlib.AbstractContextManager[None]:
        """Says what is being done, once it has taken a second: see `Progress.if_slow`."""
        return self._progress.if_slow(text)

    def training(self, figures: TrainingFigures) -> None:
        """Reports how far the run is."""
        self._rate_changes |= figures.learning_rate != self._config.learning_rate
        self._progress.update(figures, learning_rate=self._rate_changes)
        entry = dataclasses.asdict(figures)
        del entry["seconds_left"]
        self._add("train", entry)

    def validation(self, step: int, evaluation: Evaluation, *, seconds: float) -> None:
        """Reports the quality of the model.

        Args:
            step: steps done.
            evaluation: the quality.
            seconds: time that the run has spent in training steps.
        """
        self.message(f"validation at step {step}: {evaluation}")
        tokens = step * self._config.batch_size * self._config.seq_len
        position = {"step": step, "tokens": tokens, "seconds": seconds}
        entry = position | dataclasses.asdict(evaluation)
        self._add("validation", entry)
        self._validations.append(entry)
        if best := self._best():
            self._events[_ROW].scalar("best_bits_per_byte", best["bits_per_byte"], step=step)
        self._metrics.flush()

    def _add(self, kind: str, figures: Entry) -> None:
        """Adds an entry to the metrics, and its figures to the curves."""
        figures = {name: value for name, value in figures.items() if value is not None}
        self._metrics.add({"kind": kind, **figures})
        step = figures.pop("step")
        for name, value in figures.items():
            self._events[kind].scalar(name, value, step=step)
        if self._own_log is not None:
            self._own_log(kind, step, figures)

    def sample(self, step: int, temperature: float, text: str) -> None:
        """Reports a text that the model generated."""
        self._events[TRAIN_EVENTS].text(f"sample/temperature_{temperature:g}", text, step=step)
        self.message(f"--- sample at temperature {temperature:g}\n{text}")

    def weights(self, step: int, model: keras.Model) -> None:
        """Reports how the weights are distributed."""
        for variable in model.trainable_variables:
            values = variable.numpy()
            self._events[TRAIN_EVENTS].histogram(f"weights/{variable.path}", values, step=step)

    def embeddings(self, model: keras.Model, vocabulary: Vocabulary) -> None:
        """Writes the tokens' vectors for TensorBoard's projector, where the model has such."""
        embedding = getattr(model, "embedding", None)
        if isinstance(embedding, keras.layers.Embedding):
            vectors = embedding.embeddings.numpy()
            directory = join(self._config.events_directory, TRAIN_EVENTS)
            write_embeddings(directory, vectors, vocabulary)

    def finished(
        self, step: int, *, checkpoint: str, seconds: float, tokens_per_second: float
    ) -> None:
        """Says what the run has made, and what can be done with it: see `summary_text`."""
        text = summary_text(
            self._config.output,
            step=step,
            checkpoint=checkpoint,
            seconds=seconds,
            tokens_per_second=tokens_per_second,
            memory_bytes=peak_memory(),
            best=self._best(),
            last=max(self._finite(), key=lambda entry: entry["step"], default=None),
        )
        self.message(text)

    def _finite(self) -> list[Entry]:
        """The validations whose figures are finite; one that is not is null in a file."""
        return [entry for entry in self._validations if _is_finite(entry.get("bits_per_byte"))]

    def _best(self) -> Entry | None:
        return min(self._finite(), key=lambda entry: entry["bits_per_byte"], default=None)

    def flush(self, *, at_once: bool = False) -> None:
        """Makes what was written so far visible to readers of the files.

        Args:
            at_once: whether this holds for files in a store, which are written anew for it.
        """
        self._metrics.flush(at_once=at_once)
        for events in self._events.values():
            events.flush(at_once=at_once)

    def close(self) -> None:
        """Ends the bar and the files; messages still print."""
        self._progress.close()
        self._metrics.close()
        for events in self._events.values():
            events.close()


def _is_finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
