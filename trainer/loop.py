"""The outer loop of training: steps, reports, checkpoints, evaluations, samples.

The inner loop (`StepRunner.run_steps`) runs compiled from one event to the next. Events
are due at multiples of their interval, and all of them at the last step. At one step the
order is: report, save, evaluate; a run killed while it evaluates has lost nothing.
"""

import dataclasses
import re
import shlex
import signal
import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from pipeline.corpus import Corpus, open_corpus
from pipeline.errors import UserError
from pipeline.files import join, write_text
from trainer.assembly import assemble
from trainer.checkpoint import Checkpointer, RunIdentity, saved_settings
from trainer.config import CONFIG_FILE, TrainConfig
from trainer.evaluate import Evaluation, Evaluator
from trainer.feed import evaluation_stride, num_training_windows, training_feed
from trainer.generate import Sampler, shown
from trainer.output import prepare_output
from trainer.preemption import StopRequest
from trainer.pretrained import describe, load_pretrained, start_from
from trainer.progress import logging_through_bar
from trainer.reports import Reports
from trainer.request import Request
from trainer.vectors import Vectors


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
        SystemExit: the same for SIGTERM, with code 143.
        OSError: the output cannot be written.
    """
    run = config.output
    corpus = open_corpus(config.corpus)
    _check_splits(corpus, config)
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
    )
    prepare_output(run, corpus, events=config.events_directory)
    checkpointer.check()
    corpus.vocabulary.save(run)
    write_text(join(run, CONFIG_FILE), config.to_json())
    vectors = None if pretrained is None else pretrained.vectors
    return _Run(config, corpus, checkpointer, vectors, quiet=quiet).train()


class _Run:
    """One call of `train`: what its events share."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        checkpointer: Checkpointer,
        vectors: Vectors | None,
        *,
        quiet: bool,
    ) -> None:
        keras.utils.set_random_seed(config.seed)
        self._config = config
        self._corpus = corpus
        self._checkpointer = checkpointer
        self._assembly = assemble(config, corpus.vocabulary.size)
        with self._assembly.strategy.scope():
            checkpointer.track(self._assembly.model, self._assembly.optimizer, self._assembly.lanes)
            self._start_step = checkpointer.restore()
            if vectors is not None:
                start_from(vectors, self._assembly.model.embedding)
        self._saved_step = self._start_step
        self._stop = StopRequest()
        self._evaluator = None
        if config.eval_every:
            self._evaluator = Evaluator(
                self._assembly.strategy, corpus, config, self._assembly.runner
            )
        self._sampler = Sampler(self._assembly.model, corpus.vocabulary)
        self._reports = Reports(config, start_step=self._start_step, quiet=quiet)
        if vectors is not None:
            self._reports.message(describe(vectors))

    def train(self) -> TrainResult:
        try:
            if self._start_step >= self._config.steps:
                return self._finished()
            self._reports.message(self._describe())
            with logging_through_bar(), self._stop.listening():
                result = self._train_steps()
        except tf.errors.OpError as error:
            if damaged := re.search(r"assertion failed: \[(.*?textreel repair`)\]", error.message):
                raise UserError(damaged[1]) from error
            raise
        except (KeyboardInterrupt, SystemExit):
            self._reports.close()
            self._reports.message(
                f"stopped; the same command resumes {self._config.output} from step "
                f"{self._saved_step}"
            )
            raise
        finally:
            self._reports.close()
        self._reports.message(
            f"trained {result.run} to step {result.step} ({result.tokens_per_second:,.0f} "
            f"tokens/s); newest checkpoint: {result.checkpoint}\n"
            f"next: textreel generate --run {result.run}"
        )
        return result

    def _finished(self) -> TrainResult:
        """Measures a run that has nothing left to train."""
        step = self._start_step
        self._reports.message(
            f"{self._config.output} is finished: it has {step} steps behind it, --steps is "
            f"{self._config.steps}; a larger --steps continues it"
        )
        evaluation = None
        if self._evaluator is not None:
            evaluation = self._evaluator.evaluate()
            self._reports.message(f"validation at step {step}: {evaluation}")
        return self._result(step, loss=None, evaluation=evaluation, seconds=0.0)

    def _train_steps(self) -> TrainResult:
        config, runner = self._config, self._assembly.runner
        tokens_per_step = config.batch_size * config.seq_len
        feed = training_feed(
            self._assembly.strategy, self._corpus, config, start_step=self._start_step
        )
        iterator = iter(feed)
        loss, evaluation, seconds = None, None, 0.0
        logged_step, logged_seconds, weighted_loss = self._start_step, 0.0, 0.0
        step = self._start_step
        for next_step in _event_steps(config, self._start_step):
            began = time.perf_counter()
            num_steps = next_step - step
            metrics = runner.run_steps(iterator, tf.constant(num_steps))
            weighted_loss += float(metrics.loss) * num_steps
            seconds += time.perf_counter() - began
            if metrics.bad_index >= 0:
                self._stop_at_bad_loss(step + int(metrics.bad_index) + 1)
            step = next_step
            if _is_due(step, config.log_every, config.steps):
                loss = weighted_loss / (step - logged_step)
                rate = tokens_per_step * (step - logged_step) / (seconds - logged_seconds)
                seconds_left = (config.steps - step) * tokens_per_step / rate
                self._reports.training(
                    step, loss=loss, tokens_per_second=rate, seconds_left=seconds_left
                )
                logged_step, logged_seconds, weighted_loss = step, seconds, 0.0
            if _is_due(step, config.save_every, config.steps):
                self._save(step)
            if config.eval_every and _is_due(step, config.eval_every, config.steps):
                evaluation = self._evaluate(step)
            self._reports.flush()
            if self._stop.signal_number is not None and step < config.steps:
                self._save_and_exit(step, self._stop.signal_number)
        return self._result(step, loss=loss, evaluation=evaluation, seconds=seconds)

    def _save(self, step: int) -> None:
        self._checkpointer.save(step)
        self._saved_step = step

    def _save_and_exit(self, step: int, signal_number: int) -> None:
        """Ends a run that a signal asked to stop, after saving what it has."""
        if self._saved_step < step:
            self._save(step)
        if signal_number == signal.SIGINT:
            raise KeyboardInterrupt
        # As a shell reports a death by this signal: schedulers retry codes above 127.
        raise SystemExit(128 + signal_number)

    def _evaluate(self, step: int) -> Evaluation:
        """Measures the model, and generates samples."""
        assert self._evaluator is not None
        evaluation = self._evaluator.evaluate()
        self._reports.validation(step, evaluation)
        self._checkpointer.save_best(step, evaluation.loss, self._config.validation_split)
        if self._config.sample_tokens:
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
            f"the loss stopped being finite at step {step}{'; ' + kept if kept else ''}. "
            f"`{trace} --step {step - 1}` shows the text of its batch. Train "
            f"into another --output with a smaller --learning_rate (now "
            f"{self._config.learning_rate:g}) or --clip_norm (now {self._config.clip_norm:g}; "
            "0 is off)"
        )

    def _result(
        self, step: int, *, loss: float | None, evaluation: Evaluation | None, seconds: float
    ) -> TrainResult:
        num_tokens = (step - self._start_step) * self._config.batch_size * self._config.seq_len
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


def _event_steps(config: TrainConfig, start_step: int) -> Iterator[int]:
    """Yields the steps after `start_step` at which something is due, ascending, to the last.

    Example: `log_every=2, save_every=3, steps=7` from 0: 2, 3, 4, 6, 7.
    """
    intervals = [config.log_every, config.save_every]
    if config.eval_every:
        intervals.append(config.eval_every)
    step = start_step
    while step < config.steps:
        step = min(config.steps, *((step // interval + 1) * interval for interval in intervals))
        yield step


def _is_due(step: int, interval: int, last_step: int) -> bool:
    return step % interval == 0 or step == last_step


def _check_splits(corpus: Corpus, config: TrainConfig) -> None:
    """Refuses splits that are missing or shorter than one window, before anything is made."""
    wanted = [("train_split", config.train_split, config.window_stride)]
    if config.eval_every:
        wanted.append(("validation_split", config.validation_split, evaluation_stride(config)))
    for option, name, stride in wanted:
        remedy = "" if option == "train_split" else ", or turn evaluation off with --eval_every 0"
        if name not in corpus.splits:
            raise UserError(
                f"`{option}`: {config.corpus} has no split {name!r}, only "
                f"{', '.join(corpus.splits)}; change --{option}{remedy}"
            )
        if config.lanes and option == "train_split":
            # Refuses too short a split by itself: lanes run across the ends of shards.
            corpus.lanes(name, seq_len=config.seq_len, batch_size=config.batch_size)
            continue
        if corpus.num_windows(name, seq_len=config.seq_len, stride=stride) < 1:
            raise UserError(
                f"`{option}`: the split {name!r} of {config.corpus} is too short: it has "
                f"{corpus.splits[name].num_tokens} tokens, one window needs "
                f"{config.seq_len + 1} in one shard; lower --seq_len or prepare more text{remedy}"
            )
