"""Course of a run: what it measured, where its loss leapt and on which text, what it wrote."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.auditing.trace import TracedLane, TracedWindow, trace, trace_lanes
from pipeline.errors import UserError
from pipeline.files import join, names_in
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus
from trainer.config.saved import run_config
from trainer.config.train_config import TrainConfig
from trainer.quiet import import_tensorflow
from trainer.reports.metrics import METRICS_FILE, Entry, read_metrics

_EVENTS_PREFIX = "events.out.tfevents."  # of TensorBoard's files
_NEIGHBOURS = 10  # reports before one, whose median it is held against
_LEAP = 4.0  # times their median deviation, from which on it is a spike …
_LEAST_LEAP = 0.05  # … and of their median
_MOST_SPIKES, _MOST_ROWS = 3, 3
_MOST_SAMPLES = 8  # of a temperature, spread over the run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spike:
    """A report whose loss stands out, and rows of the last of its batches.

    Attributes:
        step: steps that were done.
        loss: nats a token, of the steps since the report before.
        usual: the median of the reports before.
        rows: some of the batch of that step; none where the corpus is gone.
    """

    step: int
    loss: float
    usual: float
    rows: tuple[TracedWindow | TracedLane, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratedText:
    """What a run wrote while it trained.

    Attributes:
        step: after which.
        name: which of its samples: `temperature_0.8`.
        text: the prompt and what follows it.
    """

    step: int
    name: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Course:
    """A run.

    Attributes:
        run: its directory, or its URI.
        config: its options.
        entries: its metrics.
        spikes: where its loss leapt, the highest first.
        samples: what it wrote, in the order of the steps.
    """

    run: str
    config: TrainConfig
    entries: list[Entry]
    spikes: tuple[Spike, ...]
    samples: tuple[GeneratedText, ...]


def read_course(run: str) -> Course:
    """Reads a run, which may be training.

    Raises:
        UserError: it is no run, has measured nothing, or a file of it is damaged.
    """
    config, entries = run_config(run), read_metrics(run)
    if not entries:
        raise UserError(
            f"`run` {run} has no {METRICS_FILE} yet: `textreel train` reports every --log_every "
            "steps; wait for the first, or leave --run out"
        )
    return Course(
        run=run,
        config=config,
        entries=entries,
        spikes=_find_spikes(config, entries),
        samples=_some(read_samples(config)),
    )


def spike_indices(losses: Sequence[float]) -> list[int]:
    """Which losses stand out from the ten before them, the highest leaps first.

    Example: of ten times 2.0 or 2.1, and then 4.0, 2.0: `[10]`.
    """
    values = np.array(losses, np.float64)
    leaps: list[tuple[float, int]] = []
    for index in range(_NEIGHBOURS, len(values)):
        before = values[index - _NEIGHBOURS : index]
        before = before[np.isfinite(before)]
        if not before.size:
            continue
        usual = float(np.median(before))
        least = max(_LEAP * float(np.median(abs(before - usual))), _LEAST_LEAP * abs(usual))
        leap = values[index] - usual
        if np.isnan(leap) or leap > least:
            leaps.append((float("inf") if np.isnan(leap) else float(leap), index))
    return [index for _, index in sorted(leaps, key=lambda each: (-each[0], each[1]))]


def _find_spikes(config: TrainConfig, entries: list[Entry]) -> tuple[Spike, ...]:
    training = [entry for entry in entries if entry["kind"] == "train"]
    losses = [float("nan") if entry.get("loss") is None else entry["loss"] for entry in training]
    indices = spike_indices(losses)[:_MOST_SPIKES]
    corpus = _corpus_of(config) if indices else None
    return tuple(
        Spike(
            step=training[index]["step"],
            loss=losses[index],
            usual=float(np.nanmedian(losses[index - _NEIGHBOURS : index])),
            rows=() if corpus is None else _rows(corpus, config, training[index]["step"] - 1),
        )
        for index in indices
    )


def _corpus_of(config: TrainConfig) -> Corpus | None:
    """The run's corpus, where it still lies there."""
    try:
        return open_corpus(config.corpus)
    except (UserError, OSError):
        return None


def _rows(corpus: Corpus, config: TrainConfig, step: int) -> tuple[TracedWindow | TracedLane, ...]:
    rows = range(min(_MOST_ROWS, config.batch_size))
    options: dict[str, Any] = {
        "step": step,
        "seq_len": config.seq_len,
        "batch_size": config.batch_size,
        "rows": rows,
    }
    if config.lanes:
        return tuple(trace_lanes(corpus, config.train_split, **options))
    options |= {"stride": config.window_stride, "seed": config.seed}
    return tuple(trace(corpus, config.train_split, **options))


def read_samples(config: TrainConfig) -> list[GeneratedText]:
    """Reads the texts in a run's event files, in the order of the steps; imports TensorFlow."""
    directory = join(config.events_directory, "train")
    names = [name for name in names_in(directory) if name.startswith(_EVENTS_PREFIX)]
    if not names:
        return []
    import_tensorflow(shown=False)
    from trainer.reports.events import read_texts

    found: dict[tuple[str, int], str] = {}
    for name in names:
        first_step, texts = read_texts(join(directory, name))
        found = {key: text for key, text in found.items() if key[1] < first_step} | texts
    return [
        GeneratedText(step=step, name=os.path.basename(name), text=text)
        for (name, step), text in sorted(found.items(), key=lambda each: (each[0][1], each[0][0]))
        if name.startswith("sample/")
    ]


def _some(samples: list[GeneratedText]) -> tuple[GeneratedText, ...]:
    """Of many steps, some at even distances, the first and the last among them."""
    steps = sorted({sample.step for sample in samples})
    if len(steps) > _MOST_SAMPLES:
        places = np.linspace(0, len(steps) - 1, _MOST_SAMPLES).round().astype(int)
        steps = [steps[place] for place in places]
    return tuple(sample for sample in samples if sample.step in steps)
