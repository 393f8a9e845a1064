"""Initial weights of a run that starts from those of another: `--init_from`, fine-tuning."""

import contextlib
import dataclasses
import os
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import UserError
from pipeline.sizes import count_text
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig
from trainer.models import build_model
from trainer.run.checkpoint import default_checkpoint, find_checkpoint, restore_weights
from trainer.run.identity import difference_texts
from trainer.run.opening import OpenedRun, open_run

# What decides on the shapes of weights. Dropout, precision and `seq_len` may be others.
_SIZES = ("model", "layers", "units", "embedding_dim", "heads", "tied", "layer_norm", "targets")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Where a run's `init_from` leads.

    Attributes:
        digest: of the checkpoint that the run began with: it, not the path, is in its identity.
        note: what is to be said.
        source: the run to take the weights from; None once the run has a checkpoint of its own.
    """

    digest: str
    note: str | None
    source: OpenedRun | None

    def values(self) -> list[Any]:
        """Reads the weights of the other run, `model.weights` in order; none without a `source`.

        Weights of layers alone: the streams of dropout are the new model's own. To be called
        outside of a strategy's scope, where the other model would have copies, too.
        """
        if self.source is None:
            return []
        with tf.device("CPU"):
            model = build_model(self.source.config, self.source.vocabulary.size, use_cudnn=False)
        restore_weights(self.source.checkpoint, model)
        return [weight.numpy() for weight in model.weights]


def give(values: list[Any], model: keras.Model) -> None:
    """Replaces the weights of a built model by what `values` returned, where there is any."""
    for weight, value in zip(model.weights if values else [], values, strict=True):
        weight.assign(value)


def find_initial(
    config: TrainConfig, vocabulary: Vocabulary, saved: dict[str, Any] | None
) -> InitialWeights | None:
    """Finds the weights that a run starts from, as far as they are needed.

    Args:
        config: the run's options.
        vocabulary: of its corpus.
        saved: the settings in the run's checkpoint; None without one. With them nothing is read
            of the other run but which checkpoint it has now; it may be gone.

    Returns:
        What the run starts from; None without `init_from`.

    Raises:
        UserError: the other run cannot be used, or has another vocabulary or other sizes.
    """
    run = config.init_from
    if run is None:
        return None
    if saved is not None:
        return _begun(run, saved)
    which = default_checkpoint(run)
    opened = open_run(run, checkpoint=which, allow_code=config.is_custom_model)
    if opened.vocabulary.fingerprint != vocabulary.fingerprint:
        raise UserError(
            f"`init_from` {run} has another vocabulary than the corpus: the run's has the "
            f"fingerprint {opened.vocabulary.fingerprint[:16]}, the corpus's "
            f"{vocabulary.fingerprint[:16]}; prepare the corpus with the run's: --vocabulary {run}"
        )
    theirs, ours = (
        {name: settings.get(name) for name in _SIZES}
        for settings in (opened.config.identity(), config.identity())
    )
    if differences := difference_texts(theirs, ours):
        raise UserError(
            f"`init_from` {run} has a model of other sizes: {'; '.join(differences)}. Give those "
            "of that run"
        )
    average = " (their average, of --ema)" if opened.config.ema else ""
    return InitialWeights(
        digest=opened.found.digest(),
        note=f"starting from the weights{average} of {run} after "
        f"{count_text(opened.found.step, 'step')}, its {which} checkpoint; the "
        "optimizer, its schedule and the order of the text begin anew",
        source=opened,
    )


def _begun(run: str | os.PathLike[str], saved: dict[str, Any]) -> InitialWeights | None:
    """Of a run that has weights of its own: it only has to be one that began so."""
    digest = saved.get("init_from")
    if digest is None:
        return InitialWeights(digest="of a run", note=None, source=None)  # a difference
    note = None
    with contextlib.suppress(UserError):  # the other run may be gone, or damaged by now
        if find_checkpoint(run).digest() != digest:
            note = f"{run} has another checkpoint than the one that this run began with; not read"
    return InitialWeights(digest=digest, note=note, source=None)
