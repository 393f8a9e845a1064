"""Start of a run: its options, corpus and output are checked, then all is made or restored."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.files import join, write_text
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus
from pipeline.sizes import count_text
from trainer.config import TrainConfig
from trainer.config.saved import CONFIG_FILE
from trainer.config.splits import check_splits, num_training_windows, without_validation
from trainer.embeddings.pretrained import Pretrained, load_pretrained, start_from, vectors_text
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts
from trainer.hosts.meeting import meet, telling_others
from trainer.hosts.processor import slow_bfloat16_text
from trainer.hosts.startup import starting
from trainer.own_code import load_function
from trainer.reports.reports import Reports
from trainer.run.checkpoint import find_best, find_newest, read_identity
from trainer.run.checkpointer import Checkpointer
from trainer.run.directory import prepare_output
from trainer.run.identity import RunIdentity
from trainer.run.initial import InitialWeights, find_initial, give
from trainer.run.opening import DIGESTS
from trainer.steps.assembly import Assembly, assemble


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartedRun:
    """A run that is ready to train.

    Attributes:
        config: the run's options.
        corpus: what it reads.
        assembly: what trains and measures its model.
        agreement: of its hosts.
        checkpointer: saves its state.
        reports: tells what it does; on other hosts than the first, to nobody.
        step: steps that earlier starts have done.
    """

    config: TrainConfig
    corpus: Corpus
    assembly: Assembly
    agreement: Agreement
    checkpointer: Checkpointer
    reports: Reports
    step: int


def start_run(
    config: TrainConfig, hosts: Hosts | None, directory: str, *, quiet: bool
) -> StartedRun:
    """Checks everything, and only then connects to the other hosts and writes.

    Args:
        config: the run's options.
        hosts: the processes that train together; None for this one alone.
        directory: where this process writes.
        quiet: prints nothing.

    Raises:
        UserError: the corpus, the options or the output cannot work together, or the run in
            the output is another one.
        OSError: the output cannot be written.
    """
    with telling_others(hosts):
        opened = _open(config, directory)
    config, corpus, checkpointer = opened.config, opened.corpus, opened.checkpointer
    if hosts is not None:
        meet(hosts, _wants(opened), timeout=config.startup_seconds)
    with starting(hosts, timeout=config.startup_seconds):
        keras.utils.set_random_seed(config.seed)
        assembly = assemble(config, corpus.vocabulary.size, hosts)
        agreement = Agreement(assembly.strategy, hosts)
        checkpointer.own()
        corpus.vocabulary.save(directory)
        write_text(join(directory, CONFIG_FILE), config.to_toml())
        checkpointer.track(
            assembly.model, assembly.optimizer, lanes=assembly.lanes, average=assembly.average
        )
        vectors = None if opened.pretrained is None else opened.pretrained.vectors
        initial_weights = [] if opened.initial is None else opened.initial.values()
        with assembly.strategy.scope():
            step = checkpointer.restore()
            if vectors is not None:
                start_from(vectors, assembly.model.embedding)
            give(initial_weights, assembly.model)
    reported = config
    if not agreement.is_chief:
        reported, quiet = (
            dataclasses.replace(config, output=directory, events=None, log_to=None),
            True,
        )
    reports = Reports(reported, start_step=step, quiet=quiet)
    for line in checkpointer.set_damaged_aside():
        reports.message(line)
    learned = None if vectors is None else vectors_text(vectors)
    begun = None if opened.initial is None else opened.initial.note
    for text in (opened.note, slow_bfloat16_text(config), learned, begun):
        if text is not None:
            reports.message(text)
    return StartedRun(
        config=config,
        corpus=corpus,
        assembly=assembly,
        agreement=agreement,
        checkpointer=checkpointer,
        reports=reports,
        step=step,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Opened:
    """What a run is made of, checked; `note` is to be shown."""

    config: TrainConfig
    note: str | None
    corpus: Corpus
    pretrained: Pretrained | None
    initial: InitialWeights | None
    identity: RunIdentity
    checkpointer: Checkpointer


def _open(config: TrainConfig, directory: str) -> _Opened:
    """Checks everything that needs no other host. Raises what `start_run` does."""
    run = config.output
    corpus = open_corpus(config.corpus, cache_dir=config.cache_dir, cache_bytes=config.cache_bytes)
    config, note = without_validation(corpus, config)
    check_splits(corpus, config)
    if config.log_to is not None:
        load_function(config.log_to, "log_to")  # what is called by the first host is there on all
    newest, best = find_newest(run), find_best(run)
    saved = None if newest is None else read_identity(newest.path).settings
    pretrained = load_pretrained(config, corpus.vocabulary, saved)
    if pretrained is not None:
        config = dataclasses.replace(config, embedding_dim=pretrained.dim)
    initial = find_initial(config, corpus.vocabulary, saved)
    settings = config.identity()
    for name, taken in zip(DIGESTS, (initial, pretrained), strict=True):
        if taken is not None:
            settings[name] = taken.digest
    identity = RunIdentity(
        corpus=corpus.fingerprint, vocabulary=corpus.vocabulary.fingerprint, settings=settings
    )
    checkpointer = Checkpointer(
        run, identity=identity, keep=config.keep_checkpoints, target=directory
    )
    prepare_output(run, corpus, events=config.events_directory)
    checkpointer.go_on_from(newest, best)
    return _Opened(
        config=config,
        note=note,
        corpus=corpus,
        pretrained=pretrained,
        initial=initial,
        identity=identity,
        checkpointer=checkpointer,
    )


def _wants(opened: _Opened) -> dict[str, Any]:
    """What all hosts must have alike, by the names that messages show. Paths may differ."""
    identity = opened.identity
    wants = {f"--{name}": value for name, value in dataclasses.asdict(opened.config).items()}
    for path in ("corpus", "cache_dir", "cache_bytes", "output", "events"):
        del wants[f"--{path}"]
    for path in DIGESTS:
        wants[f"--{path}"] = identity.settings.get(path)
    return wants | {
        "corpus": identity.corpus[:16],
        "vocabulary": identity.vocabulary[:16],
        **opened.checkpointer.found(),
        "version of TensorFlow": tf.__version__,
        "version of Keras": keras.__version__,
        "version of NumPy": np.__version__,
    }


def start_text(run: StartedRun) -> str:
    """Returns what a run says before its first step."""
    config, split = run.config, run.corpus.splits[run.config.train_split]
    num_windows = num_training_windows(run.corpus, config)
    epochs = config.steps * config.batch_size / num_windows
    return (
        f"training on {count_text(split.num_tokens, 'token')} "
        f"({count_text(num_windows, 'window')}): "
        f"{f'resuming at step {run.step}, ' if run.step else ''}"
        f"{count_text(config.steps, 'step')} of "
        f"{count_text(config.batch_size, 'lane' if config.lanes else 'window')} "
        f"({epochs:.2g} epochs); {count_text(run.assembly.model.count_params(), 'weight')} on "
        f"{count_text(run.assembly.strategy.num_replicas_in_sync, 'replica')}"
    )
