"""The outer loop of training: steps, reports, checkpoints, evaluations, samples.

The inner loop (`StepRunner.run_steps`) runs compiled from one event to the next. Events
are due at multiples of their interval, and all of them at the last step. At one step the
order is: report, save, evaluate; a run killed while it evaluates has lost nothing: its next
start evaluates first. Several hosts run this same loop; one of them writes and prints.
"""

import dataclasses
import os
import shlex
import time

import keras
import tensorflow as tf

from pipeline.errors import UserError
from pipeline.files import join, write_text
from pipeline.reading.corpus import Corpus, open_corpus
from trainer.config import CONFIG_FILE, TrainConfig
from trainer.due import event_steps, is_due
from trainer.early_stopping import EarlyStopping
from trainer.embeddings.pretrained import describe, load_pretrained, start_from
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.generation.request import Request
from trainer.generation.sampler import Sampler, shown
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts, find_hosts
from trainer.hosts.signals import StopRequest, exit_after
from trainer.reports.meter import Meter
from trainer.reports.metrics import read_metrics
from trainer.reports.reports import Reports
from trainer.reports.terminal import logging_through_bar
from trainer.run.checkpoint import Checkpointer, RunIdentity, best_step, saved_settings
from trainer.run.directory import own_output, prepare_output
from trainer.run.failures import explaining_failures
from trainer.saving import SavePolicy
from trainer.steps.assembly import Assembly, assemble
from trainer.steps.feed import check_splits, num_training_windows, training_feed


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a call of `train` did.

    Attributes:
        run: the run's directory, or its URI.
        step: steps the run has behind it.
        start_step: of these, the steps that earlier calls did.
        loss: mean training loss since the last report, nats a token; None where this
            call trained nothing.
        evaluation: quality at the last evaluation; None with `eval_every` 0.
        checkpoint: path prefix of the newest checkpoint.
        tokens_per_second: input tokens over the time spent in training steps, the first
            compilation included; None where this call trained nothing.
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
        KeyboardInterrupt: SIGINT came; the run was saved at the end of the compiled steps
            under way. A second one is obeyed at once.
        SystemExit: the same for SIGTERM, with code 143; or another host was lost, 138.
        OSError: the output cannot be written.
    """
    hosts = find_hosts(os.environ)
    with explaining_failures(config, hosts), own_output(config.output, hosts) as place:
        return _start(config, hosts, place, quiet=quiet).train()


def _start(config: TrainConfig, hosts: Hosts | None, place: str, *, quiet: bool) -> "_Run":
    """Checks everything, and only then connects to the other hosts and writes.

    Args:
        config: the run's options.
        hosts: the processes that train together; None for this one alone.
        place: directory that this process writes into.
        quiet: prints nothing.
    """
    run = config.output
    corpus = open_corpus(config.corpus)
    check_splits(corpus, config)
    pretrained = load_pretrained(config, corpus.vocabulary, saved_settings(run))
    settings = config.identity()
    if pretrained is not None:
        config = dataclasses.replace(config, embedding_dim=pretrained.dim)
        settings = {**config.identity(), "pretrained_embeddings": pretrained.digest}
    checkpointer = Checkpointer(
        run,
        identity=RunIdentity(
            corpus=corpus.fingerprint,
            vocabulary=corpus.vocabulary.fingerprint,
            settings=settings,
        ),
        keep=config.keep_checkpoints,
        target=place,
    )
    prepare_output(run, corpus, events=config.events_directory)
    checkpointer.check()
    keras.utils.set_random_seed(config.seed)
    assembly = assemble(config, corpus.vocabulary.size, hosts)
    agreement = Agreement(assembly.strategy, hosts)
    corpus.vocabulary.save(place)
    write_text(join(place, CONFIG_FILE), config.to_json())
    checkpointer.track(assembly.model, assembly.optimizer, assembly.lanes)
    with assembly.strategy.scope():
        start_step = checkpointer.restore()
        if pretrained is not None and pretrained.vectors is not None:
            start_from(pretrained.vectors, assembly.model.embedding)
    agreement.check_equal(start_step, f"checkpoints in --output {run}")
    told = config
    if not agreement.is_chief:
        told, quiet = dataclasses.replace(config, output=place, events=None), True
    reports = Reports(told, start_step=start_step, quiet=quiet)
    if pretrained is not None and pretrained.vectors is not None:
        reports.message(describe(pretrained.vectors))
    return _Run(config, corpus, assembly, agreement, checkpointer, reports, start_step)


class _Run:
    """One call of `train`: what its events share."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        assembly: Assembly,
        agreement: Agreement,
        checkpointer: Checkpointer,
        reports: Reports,
        start_step: int,
    ) -> None:
        self._config = config
        self._corpus = corpus
        self._checkpointer = checkpointer
        self._assembly = assembly
        self._agreement = agreement
        self._reports = reports
        self._start_step = self._saved_step = start_step
        self._early_stopping = EarlyStopping(
            config, best_step(config.output, config.validation_split)
        )
        self._stop = StopRequest()
        self._save_policy = SavePolicy(config, agreement, self._stop)
        self._evaluator = None
        if config.eval_every:
            self._evaluator = Evaluator(
                self._assembly.strategy, corpus, config, self._assembly.runner
            )
        self._sampler = Sampler(self._assembly.model, corpus.vocabulary)
        self._meter = Meter(
            config,
            corpus.splits[config.train_split],
            start_step=start_step,
            start_seconds=reports.start_seconds,
        )

    def train(self) -> TrainResult:
        try:
            if self._misses_evaluation():
                self._evaluate(self._start_step)
            if finished := self._reason_not_to_start():
                return self._finished(finished)
            self._reports.message(self._describe())
            with logging_through_bar(), self._stop.listening():
                result = self._train_steps()
        except (KeyboardInterrupt, SystemExit):
            self._reports.close()
            self._reports.message(
                f"stopped; the same command resumes {self._config.output} from step "
                f"{self._saved_step}"
            )
            raise
        finally:
            self._reports.close()
        assert result.tokens_per_second is not None
        self._reports.finished(
            result.step,
            checkpoint=result.checkpoint,
            seconds=self._meter.seconds,
            tokens_per_second=result.tokens_per_second,
        )
        return result

    def _misses_evaluation(self) -> bool:
        """Whether an earlier call ended between its last save and the evaluation of that step."""
        step, interval = self._start_step, self._config.eval_every
        if not step or not interval or not is_due(step, interval, self._config.steps):
            return False
        return not any(
            row["kind"] == "validation" and row["step"] == step
            for row in read_metrics(self._config.output)
        )

    def _reason_not_to_start(self) -> str | None:
        step = self._start_step
        if step >= self._config.steps:
            return (
                f"is finished: it has {step} steps behind it, --steps is {self._config.steps}; a "
                "larger --steps continues it"
            )
        return self._early_stopping.reason_to_stop(step)

    def _finished(self, reason: str) -> TrainResult:
        """Measures a run that has nothing left to train."""
        step = self._start_step
        self._reports.message(f"{self._config.output} {reason}")
        evaluation = None
        if self._evaluator is not None:
            evaluation = self._evaluator.evaluate()
            self._reports.message(f"validation at step {step}: {evaluation}")
        return self._result(step, loss=None, evaluation=evaluation)

    def _train_steps(self) -> TrainResult:
        config, runner = self._config, self._assembly.runner
        feed = training_feed(
            self._assembly.strategy, self._corpus, config, start_step=self._start_step
        )
        iterator = iter(feed)
        meter = self._meter
        loss, evaluation = None, None
        step = self._start_step
        for next_step in event_steps(config, self._start_step):
            began = time.perf_counter()
            num_steps = next_step - step
            metrics = runner.run_steps(iterator, tf.constant(num_steps))
            bad_index = int(metrics.bad_index)  # waits for the steps
            meter.add(metrics, num_steps, seconds=time.perf_counter() - began)
            if bad_index >= 0:
                self._stop_at_bad_loss(step + bad_index + 1)
            step = next_step
            if is_due(step, config.log_every, config.steps):
                rate = self._assembly.learning_rate(step - 1)
                report = meter.report(learning_rate=float(rate))
                self._reports.training(report)
                loss = report.loss
            stop_signal = self._save_where_due(step)
            if config.histograms_every and is_due(step, config.histograms_every, config.steps):
                self._reports.weights(step, self._assembly.model)
            if config.eval_every and is_due(step, config.eval_every, config.steps):
                began = time.perf_counter()
                evaluation = self._evaluate(step)
                meter.evaluation_seconds = time.perf_counter() - began
                stop_signal = self._save_where_due(step)
            self._reports.flush()
            reason = self._early_stopping.reason_to_stop(step)
            if reason is not None:
                self._save(step)
                self._reports.message(f"{config.output} {reason}")
                break
            if stop_signal is not None:
                exit_after(stop_signal)
        return self._result(step, loss=loss, evaluation=evaluation)

    def _save_where_due(self, step: int) -> int | None:
        """Saves where all hosts decide to; returns the signal that they stop for, or None."""
        decision = self._save_policy.decide(step)
        if decision.save:
            self._save(step)
        return decision.stop_signal

    def _save(self, step: int) -> None:
        if self._saved_step < step:
            self._reports.flush(at_once=True)  # a checkpoint's run has its metrics
            self._checkpointer.save(step)
            if self._agreement.is_chief:
                self._reports.embeddings(self._assembly.model, self._corpus.vocabulary)
            self._saved_step = step
            self._save_policy.saved()

    def _evaluate(self, step: int) -> Evaluation:
        """Measures the model, and generates samples."""
        assert self._evaluator is not None
        evaluation = self._evaluator.evaluate()
        self._reports.validation(step, evaluation, seconds=self._meter.seconds)
        if self._checkpointer.save_best(step, evaluation.loss, self._config.validation_split):
            self._early_stopping.improved(step)
        if self._config.sample_tokens and self._agreement.is_chief:
            for temperature in self._config.sample_temperatures:
                text = shown(self._sample(temperature), self._corpus.vocabulary)
                self._reports.sample(step, temperature, text)
        return evaluation

    def _sample(self, temperature: float) -> str:
        request = Request(
            tokens=self._config.sample_tokens, temperature=temperature, seed=self._config.seed
        )
        return "".join(self._sampler.stream(request))

    def _stop_at_bad_loss(self, step: int) -> None:
        kept = f"the checkpoint of step {self._saved_step} is kept" if self._saved_step else ""
        trace = shlex.join(["textreel", "trace", "--run", self._config.output])
        raise UserError(
            f"the loss or its gradients stopped being finite at step {step}"
            f"{'; ' + kept if kept else ''}. "
            f"`{trace} --step {step - 1}` shows the text of its batch. Train "
            f"into another --output with a smaller --learning_rate (now "
            f"{self._config.learning_rate:g}) or --clip_norm (now {self._config.clip_norm:g}; "
            "0 is off)"
        )

    def _result(
        self, step: int, *, loss: float | None, evaluation: Evaluation | None
    ) -> TrainResult:
        num_tokens = (step - self._start_step) * self._config.batch_size * self._config.seq_len
        seconds = self._meter.seconds - self._reports.start_seconds
        return TrainResult(
            run=self._config.output,
            step=step,
            start_step=self._start_step,
            loss=loss,
            evaluation=evaluation,
            checkpoint=self._checkpointer.newest() or "",
            tokens_per_second=num_tokens / seconds if seconds else None,
        )

    def _describe(self) -> str:
        config, split = self._config, self._corpus.splits[self._config.train_split]
        num_windows = num_training_windows(self._corpus, config)
        start = f"resuming at step {self._start_step}, " if self._start_step else ""
        epochs = config.steps * config.batch_size / num_windows
        return (
            f"training on {split.num_tokens:,} tokens ({num_windows:,} windows): {start}"
            f"{config.steps:,} steps of {config.batch_size} "
            f"{'lanes' if config.lanes else 'windows'} ({epochs:.2g} epochs); "
            f"{self._assembly.model.count_params():,} weights on "
            f"{self._assembly.strategy.num_replicas_in_sync} replica(s)"
        )
