"""Split that a run is measured on: its corpus is opened and checked, without TensorFlow."""

import dataclasses
import os

from pipeline.errors import UserError
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig
from trainer.config.splits import check_measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredSplit:
    """A split that a run can be measured on.

    Attributes:
        config: the run's options, with this corpus and split, on this machine.
        corpus: has the split, `config.evaluated_split`.
    """

    config: TrainConfig
    corpus: Corpus


def open_split(
    run: str | os.PathLike[str],
    config: TrainConfig,
    vocabulary: Vocabulary,
    *,
    corpus: str | None,
    split: str | None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> MeasuredSplit:
    """Opens the corpus on which a run is to be measured.

    Args:
        run: the run's directory, for the message.
        config: its options.
        vocabulary: its own.
        corpus: directory of a corpus with that vocabulary; None for the run's own.
        split: its split to measure; None for the run's `validation_split`.
        cache_dir: see `open_corpus`.

    Raises:
        UserError: the corpus has another vocabulary, no such split or too short a one.
    """
    config = dataclasses.replace(
        config,
        corpus=config.corpus if corpus is None else corpus,
        validation_split=config.validation_split if split is None else split,
        # On what this machine has: another one, or several, may have trained it.
        strategy="auto",
        tpu=None,
        accumulate_steps=1,
    )
    opened, expected = open_corpus(config.corpus, cache_dir=cache_dir), vocabulary.fingerprint
    if opened.vocabulary.fingerprint != expected:
        raise UserError(
            f"`corpus` {config.corpus} has another vocabulary than the run {run}: fingerprint "
            f"{opened.vocabulary.fingerprint[:16]}, the run's is {expected[:16]}; give a corpus "
            "with the run's vocabulary"
        )
    check_measured(opened, config)
    return MeasuredSplit(config=config, corpus=opened)
