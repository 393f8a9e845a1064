"""Loop of training, from event to event: steps, reports, checkpoints, evaluations, samples.

Between two events the steps run compiled (`StepRunner.run_steps`). Events are due at multiples
of their interval, and all of them at the last step. At one step the order is: report, save,
evaluate; a run killed while it evaluates has lost nothing: its next start evaluates first.
Several hosts run this same loop; one of them writes and prints.
"""

import contextlib
import dataclasses
import itertools
import os
import shlex
import signal
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from pipeline.errors import UserError
from trainer.config import TrainConfig
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.generation.request import Request
from trainer.generation.sampler import Sampler, screen_text
from trainer.hosts.environment import Hosts, find_hosts
from trainer.hosts.signals import StopRequest, exit_after
from trainer.hosts.startup import starting
from trainer.reports.meter import Meter
from trainer.reports.metrics import read_metrics
from trainer.reports.terminal import logging_through_bar
from trainer.run.directory import own_output
from trainer.run.failures import explaining_failures
from trainer.schedule import EarlyStopping, SavePolicy, event_steps, is_due
from trainer.start import StartedRun, start_run, start_text
from trainer.steps.compiling import compiling
from trainer.steps.feed import training_feed


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a call of `train` did.

    Attributes:
        run: the run's directory, or its URI.
        step: steps that the run has done.
        start_step: of these, the steps that earlier calls did.
        loss: mean training loss since the last report, nats a token; None where this
            call trained nothing.
        evaluation: quality at the last evaluation; None with `eval_every` 0.
        checkpoint: path prefix of the newest checkpoint.
        tokens_per_second: input tokens over the time spent in training steps, without the first
            one, which compiles them; None where this call trained nothing.
    """

    run: str
    step: int
    start_step: int
    loss: float | None
    evaluation: Evaluation | None
    checkpoint: str
    tokens_per_second: float | None


def train(config: TrainConfig, *, quiet: bool = False) -> TrainResult:
    """Trains a model, or continues a run that was stopped, bit for bit on a CPU.

    Args:
        config: the run's options.
        quiet: prints nothing.

    Returns:
        What was done.

    Raises:
        UserError: the corpus, the options or the output cannot work together, the run in
            the output is another one, or the loss stopped being finite.
        KeyboardInterrupt: SIGINT came; the run was saved after the step under way or the next.
            A second one is obeyed at once, and so is one before the first step.
        SystemExit: the same for SIGTERM, with code 143; or another host was lost, 138.
        OSError: the output cannot be written.
    """
    hosts = find_hosts(os.environ)
    with explaining_failures(config, hosts), own_output(config.output, hosts) as directory:
        return _Loop(start_run(config, hosts, directory, quiet=quiet), hosts).train()


class _Loop:
    """The loop of one call of `train`, and where it is."""

    def __init__(self, run: StartedRun, hosts: Hosts | None) -> None:
        config = run.config
        self._run = run
        self._hosts = hosts
        self._config = config
        self._reports = run.reports
        self._step = self._saved_step = run.step
        self._loss: float | None = None
        self._evaluation: Evaluation | None = None
        self._stop_request = StopRequest()
        self._save_policy = SavePolicy(config, run.agreement, self._stop_request)
        self._early_stopping = EarlyStopping(
            config, run.checkpointer.best_step(config.evaluated_split)
        )
        self._evaluator = (
            Evaluator(run.corpus, config, run.assembly.runner) if config.eval_every else None
        )
        self._sampler = Sampler(run.assembly.model, run.corpus.vocabulary)
        self._meter = Meter(
            config,
            run.corpus.splits[config.train_split],
            start_step=run.step,
            start_seconds=run.reports.start_seconds,
            sums=run.checkpointer.sums,
        )

    def train(self) -> TrainResult:
        try:
            with self._stop_request.listening(self._run.assembly.runner.stop):
                with self._starting():
                    misses_evaluation = self._misses_evaluation()
                if misses_evaluation:
                    self._evaluate()
                    if (signal_number := self._save_where_due()) is not None:
                        exit_after(signal_number)
                if reason := self._reason_not_to_train():
                    self._measure_again(reason)
                    return self._result()
                self._reports.message(start_text(self._run))
                with logging_through_bar():
                    self._train_steps()
        except (KeyboardInterrupt, SystemExit):
            self._reports.close()
            self._reports.message(
                f"stopped; the same command resumes {self._config.output} from step "
                f"{self._saved_step}"
            )
            raise
        finally:
            self._reports.close()
        result = self._result()
        assert result.tokens_per_second is not None
        self._reports.finished(
            result.step,
            checkpoint=result.checkpoint,
            seconds=self._meter.seconds,
            tokens_per_second=result.tokens_per_second,
        )
        return result

    def _train_steps(self) -> None:
        run = self._run
        self._reports.message("compiling the steps")
        with self._starting(), compiling(run.assembly.runner.step, self._config):
            strategy, step = run.assembly.strategy, self._step
            feed = training_feed(strategy, run.corpus, self._config, start_step=step)
            iterator = iter(feed)
        # The first step by itself: its time is that of compiling, and until then a signal ends
        # what runs.
        steps = itertools.chain([self._step + 1], event_steps(self._config, self._step))
        for next_step in steps:
            if next_step == self._step:
                continue
            is_first = self._step == run.step
            with self._starting() if is_first else contextlib.nullcontext():
                self._run_steps(iterator, next_step - self._step)
            self._handle_events()
            reason = self._early_stopping.reason_to_stop(self._step)
            if reason is not None:
                self._save()
                self._reports.message(f"{self._config.output} {reason}")
                return

    def _starting(self) -> contextlib.AbstractContextManager[None]:
        return starting(self._hosts, timeout=self._config.startup_seconds)

    def _run_steps(self, iterator: Iterator[Any], num_steps: int) -> None:
        """Runs compiled steps to the next event."""
        began = time.perf_counter()
        metrics = self._run.assembly.runner.run_steps(iterator, tf.constant(num_steps))
        bad_index = int(metrics.bad_index)  # waits for the steps
        compiles = self._meter.tokens_per_second is None
        self._meter.add(metrics, seconds=time.perf_counter() - began, compiles=compiles)
        if bad_index >= 0:
            raise self._bad_loss(self._step + bad_index + 1)
        self._step += int(metrics.num_steps)  # fewer than asked for, after a signal

    def _handle_events(self) -> None:
        """Does what is due now; ends the run, saved, where all hosts stop for a signal."""
        if self._is_due(self._config.log_every):
            self._report()
        stop_signal = self._save_where_due()
        if stop_signal is None and self._is_due(self._config.histograms_every):
            self._reports.weights(self._step, self._run.assembly.model)
        is_complete = not self._is_due(self._config.eval_every)
        if stop_signal is None and not is_complete:
            is_complete = self._evaluate()
            stop_signal = self._save_where_due()
        self._reports.flush()
        # At the end, with everything done, the run is over.
        if stop_signal is not None and not (is_complete and self._step == self._config.steps):
            exit_after(stop_signal)

    def _is_due(self, interval: int) -> bool:
        return is_due(self._step, interval, self._config.steps)

    def _report(self) -> None:
        rate = self._run.assembly.learning_rate(self._step - 1)
        figures = self._meter.figures(learning_rate=float(rate))
        self._reports.training(figures)
        self._loss = figures.loss

    def _save_where_due(self) -> int | None:
        """Saves where all hosts decide to; returns the signal that they stop for, or None."""
        decision = self._save_policy.decide(self._step)
        if decision.save:
            self._save()
        return decision.stop_signal

    def _save(self) -> None:
        if self._saved_step == self._step:
            return
        self._reports.flush(at_once=True)  # a checkpoint's run has its metrics
        with self._reports.if_slow(f"saving the checkpoint of step {self._step}"):
            self._run.checkpointer.save(self._step, self._meter.sums())
        if self._run.agreement.is_chief:
            with self._run.assembly.to_be_used():
                self._reports.embeddings(self._run.assembly.model, self._run.corpus.vocabulary)
        self._saved_step = self._step
        self._save_policy.saved()

    def _evaluate(self) -> bool:
        """Measures the model, keeps it where it is the best so far, and generates samples.

        Returns:
            Whether it was measured: a signal ends it, and the next start begins with it.
        """
        assert self._evaluator is not None
        config, began = self._config, time.perf_counter()
        measuring = self._reports.if_slow(f"measuring the model of step {self._step}")
        with self._run.assembly.to_be_used(), measuring:
            evaluation = self._evaluator.evaluate()
        if evaluation is None:
            return False
        self._evaluation = evaluation
        # The best first: where its figures are there, a start takes the evaluation for done.
        with self._reports.if_slow(f"saving the best checkpoint, of step {self._step}"):
            is_best = self._run.checkpointer.save_best(
                self._step, evaluation.loss, config.evaluated_split
            )
        if is_best:
            self._early_stopping.improved(self._step)
        self._reports.validation(self._step, evaluation, seconds=self._meter.seconds)
        if config.sample_tokens and self._run.agreement.is_chief:
            for temperature in config.sample_temperatures:
                if self._stop_request.signal_number is None:
                    self._reports.sample(self._step, temperature, self._sample(temperature))
        self._meter.evaluation_seconds = time.perf_counter() - began
        return True

    def _sample(self, temperature: float) -> str:
        request = Request(
            tokens=self._config.sample_tokens, temperature=temperature, seed=self._config.seed
        )
        text = ""
        with self._run.assembly.to_be_used():
            for piece in self._sampler.stream(request):
                text += piece
                if self._stop_request.signal_number is not None:
                    break
        return screen_text(text, self._run.corpus.vocabulary)

    def _misses_evaluation(self) -> bool:
        """Whether an earlier call ended between its last save and the evaluation of that step.

        The first host says so to all: another may not see yet what is in the run.
        """
        if not self._step or not self._is_due(self._config.eval_every):
            return False
        misses = self._run.agreement.is_chief and not any(
            entry["kind"] == "validation" and entry["step"] == self._step
            for entry in read_metrics(self._config.output)
        )
        return bool(self._run.agreement.largest(misses))

    def _reason_not_to_train(self) -> str | None:
        if self._step >= self._config.steps:
            return (
                f"is finished: it has done {self._step} steps, --steps is {self._config.steps}; a "
                "larger --steps continues it"
            )
        return self._early_stopping.reason_to_stop(self._step)

    def _measure_again(self, reason: str) -> None:
        """Measures a run that has nothing left to train."""
        self._reports.message(f"{self._config.output} {reason}")
        if self._evaluator is not None:
            with self._run.assembly.to_be_used():
                self._evaluation = self._evaluator.evaluate()
            if self._evaluation is None:
                exit_after(self._save_policy.decide(self._step).stop_signal or signal.SIGTERM)
            self._reports.message(f"validation at step {self._step}: {self._evaluation}")

    def _bad_loss(self, step: int) -> UserError:
        kept = f"; the checkpoint of step {self._saved_step} is kept" if self._saved_step else ""
        trace = shlex.join(["textreel", "trace", self._config.output, "--step", str(step - 1)])
        return UserError(
            f"the loss or its gradients stopped being finite at step {step}{kept}. `{trace}` "
            "shows the text of its batch. Train into another --output with a smaller "
            f"--learning_rate (now {self._config.learning_rate:g}) or --clip_norm (now "
            f"{self._config.clip_norm:g}; 0 is off)"
        )

    def _result(self) -> TrainResult:
        return TrainResult(
            run=self._config.output,
            step=self._step,
            start_step=self._run.step,
            loss=self._loss,
            evaluation=self._evaluation,
            checkpoint=self._run.checkpointer.newest() or "",
            tokens_per_second=self._meter.tokens_per_second,
        )
