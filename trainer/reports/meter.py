"""Meter of training: what compiled steps measure -> means and rates since the last report."""

import dataclasses
import resource
import sys
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from pipeline.layout.manifest import Split
from trainer.config import TrainConfig
from trainer.evaluation.evaluator import Evaluation
from trainer.steps.runner import StepMetrics


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingFigures:
    """Figures of the steps since the last report, and of the run so far.

    Attributes:
        step: steps that the run has done.
        tokens: input tokens that the run has read in all.
        seconds: time that the run has spent in training steps, over all its starts.
        loss: mean training loss of these steps, nats a token.
        bits_per_byte: the same, with the tokens and bytes of the whole training split.
        tokens_per_second: input tokens over the time spent in these steps, without the first one
            of a start, which compiles them; of that one alone where there is no other.
        input_wait: share of that time that was waiting for input.
        learning_rate: of the last step.
        gradient_norm: mean over these steps of the gradients' global norm before clipping.
        skipped_steps: those of these steps that loss scaling skipped.
        memory_bytes: peak resident memory of this process.
        gpu_memory_bytes: peak of the fullest GPU; None without one.
        seconds_left: remaining time at this rate, with the evaluations to come.
    """

    step: int
    tokens: int
    seconds: float
    loss: float
    bits_per_byte: float
    tokens_per_second: float
    input_wait: float
    learning_rate: float
    gradient_norm: float
    skipped_steps: int
    memory_bytes: int
    gpu_memory_bytes: int | None
    seconds_left: float


@dataclasses.dataclass
class _Clock:
    """Time of steps, and of those among them (`timed_`) that compiled nothing; seconds."""

    steps: float = 0
    seconds: float = 0.0
    timed_steps: float = 0
    timed_seconds: float = 0.0
    input_seconds: float = 0.0

    @property
    def seconds_per_step(self) -> float:
        if self.timed_steps:
            return self.timed_seconds / self.timed_steps
        return self.seconds / self.steps


class Meter:
    """Sums what training steps measure until it is reported.

    Args:
        config: the run's options.
        split: the training split.
        start_step: steps that earlier starts of the run did.
        start_seconds: the time that they spent in training steps, by their last report.
        sums: what they measured since that report, as `Meter.sums` gave it: the next report is
            one of all steps since then.

    Attributes:
        seconds: the time that the run has spent in training steps, over all its starts.
        evaluation_seconds: how long the last evaluation took, with what comes with it. The
            loop sets it.
    """

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        *,
        start_step: int,
        start_seconds: float,
        sums: Mapping[str, float] | None = None,
    ) -> None:
        self._config = config
        self._split = split
        self._tokens_per_step = config.batch_size * config.seq_len
        self.evaluation_seconds = 0.0
        self._start_clock = _Clock()
        self._begin()
        if sums:
            self._skipped_steps = int(sums["skipped_steps"])
            self._loss, self._gradient_norm = sums["loss"], sums["gradient_norm"]
            names = [field.name for field in dataclasses.fields(_Clock)]
            self._clock = _Clock(**{name: sums[name] for name in names})
        self._step = start_step - int(self._clock.steps)
        self.seconds = start_seconds + self._clock.seconds

    def _begin(self) -> None:
        self._clock = _Clock()
        self._loss, self._gradient_norm, self._skipped_steps = 0.0, 0.0, 0

    def sums(self) -> dict[str, float]:
        """Returns the sums since the last report, to be saved; empty where nothing was added."""
        if not self._clock.steps:
            return {}
        return {
            **dataclasses.asdict(self._clock),
            "skipped_steps": self._skipped_steps,
            "loss": self._loss,
            "gradient_norm": self._gradient_norm,
        }

    @property
    def tokens_per_second(self) -> float | None:
        """The rate of all steps of this start, as in a report; None before the first."""
        clock = self._start_clock
        return self._tokens_per_step / clock.seconds_per_step if clock.steps else None

    def add(self, metrics: StepMetrics, *, seconds: float, compiles: bool = False) -> None:
        """Takes in what compiled steps measured.

        Args:
            metrics: what they measured.
            seconds: the time that they took.
            compiles: whether this time holds the compilation: it is part of the time that the run
                has spent, but of no rate, unless there is no other.
        """
        num_steps = int(metrics.num_steps)
        for clock in (self._clock, self._start_clock):
            clock.steps += num_steps
            clock.seconds += seconds
            if not compiles:
                clock.timed_steps += num_steps
                clock.timed_seconds += seconds
                clock.input_seconds += float(metrics.input_seconds)
        self.seconds += seconds
        self._loss += float(metrics.loss) * num_steps
        self._gradient_norm += float(metrics.gradient_norm) * num_steps
        self._skipped_steps += int(metrics.num_skipped)

    def figures(self, *, learning_rate: float) -> TrainingFigures:
        """Returns the figures of the steps since the last call, of which there is at least one.

        Args:
            learning_rate: of the last step.
        """
        clock, num_steps = self._clock, int(self._clock.steps)
        self._step += num_steps
        quality = Evaluation.from_loss(
            float(np.float32(self._loss / num_steps)),  # in float64, the cuts would show
            num_tokens=self._split.num_tokens,
            text_bytes=self._split.text_bytes,
        )
        figures = TrainingFigures(
            step=self._step,
            tokens=self._step * self._tokens_per_step,
            seconds=self.seconds,
            loss=quality.loss,
            bits_per_byte=quality.bits_per_byte,
            tokens_per_second=self._tokens_per_step / clock.seconds_per_step,
            input_wait=clock.input_seconds / clock.timed_seconds if clock.timed_steps else 0.0,
            learning_rate=float(f"{learning_rate:.7g}"),  # a float32 has no more digits
            gradient_norm=float(np.float32(self._gradient_norm / num_steps)),
            skipped_steps=self._skipped_steps,
            memory_bytes=peak_memory(),
            gpu_memory_bytes=peak_gpu_memory(),
            seconds_left=(self._config.steps - self._step) * clock.seconds_per_step
            + num_evaluations_left(self._config, self._step) * self.evaluation_seconds,
        )
        self._begin()
        return figures


def num_evaluations_left(config: TrainConfig, step: int) -> int:
    """Counts the evaluations to come: at the multiples of `eval_every`, and after the last step.

    Args:
        config: the run's options.
        step: steps done; the evaluation that is due now is still to come.
    """
    interval = config.eval_every
    if not interval:
        return 0
    return config.steps // interval - (step - 1) // interval + bool(config.steps % interval)


def peak_memory() -> int:
    """Returns the peak resident memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kibibytes


def peak_gpu_memory() -> int | None:
    """Returns the peak that TensorFlow has allocated on the fullest GPU, in bytes.

    None without a GPU.
    """
    peaks = [
        tf.config.experimental.get_memory_info(f"GPU:{index}")["peak"]
        # Not the logical ones: with several hosts, these are those of all.
        for index in range(len(tf.config.get_visible_devices("GPU")))
    ]
    return max(peaks, default=None)
