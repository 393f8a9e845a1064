"""textreel: text larger than memory -> a corpus -> a trained language model.

The names of `pipeline` and of `trainer` in one place:

    import textreel

    textreel.prepare(["text"], "CORPUS", textreel.PrepareOptions(vocabulary="char"))
    textreel.train(textreel.TrainConfig(corpus="CORPUS", output="RUN"))
    print("".join(textreel.generate("RUN", prompt="Once upon")))

Each name is imported when it is first used, and TensorFlow with the trainer's.
"""

from typing import TYPE_CHECKING, Any

import pipeline
import trainer

if TYPE_CHECKING:
    from pipeline import (
        Corpus,
        OptionError,
        PrepareOptions,
        RecordIndex,
        Records,
        UserError,
        index_records,
        mix,
        mix_batches,
        open_corpus,
        open_index,
        open_records,
        prepare,
        reference_windows,
    )
    from trainer import ReplicaDropout, TrainConfig, evaluate, export, generate, train

__all__ = [
    "Corpus",
    "OptionError",
    "PrepareOptions",
    "RecordIndex",
    "Records",
    "ReplicaDropout",
    "TrainConfig",
    "UserError",
    "evaluate",
    "export",
    "generate",
    "index_records",
    "mix",
    "mix_batches",
    "open_corpus",
    "open_index",
    "open_records",
    "prepare",
    "reference_windows",
    "train",
]


def __getattr__(name: str) -> Any:
    for package in (pipeline, trainer):
        if name in package.__all__:
            return getattr(package, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
