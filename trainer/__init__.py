"""Trainer of language models on a prepared corpus, from a laptop to a fleet of GPUs or TPUs.

    config -> corpus -> feed -> steps -> run -> evaluation, generation, exporting

`TrainConfig` holds all options of a run and is always valid. `train` opens the corpus that it
names and makes a **run**, a directory:

    TrainConfig ---> start: corpus, model, optimizer, or what the run's newest checkpoint holds
                       |
                       v           feed: batch k is a function of k alone
                     loop <------- steps: compiled, on every replica of every host
                       |
                       v  events, by the schedule
                     report, save, evaluate, sample  --->  RUN/metrics.jsonl, checkpoints/, best/

A second `train` with the same options goes on from the newest checkpoint, bit for bit on a CPU.
What comes after training needs the run alone: `evaluate` measures it on a split, `generate`
returns text as it comes, `export` writes it for programs without this package.
`ReplicaDropout` is dropout for a model of your own on several replicas.

    from trainer import TrainConfig, evaluate, export, generate, train

    train(TrainConfig(corpus="CORPUS", output="RUN", units=64, steps=100))
    print(evaluate("RUN", split="validation"))
    print("".join(generate("RUN", prompt="Once", tokens=100)))
    export("RUN", "EXPORT")

Importing this package imports no TensorFlow: each name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.config import TrainConfig
    from trainer.evaluation.evaluate import evaluate
    from trainer.exporting.directory import export
    from trainer.generation.sampler import generate
    from trainer.loop import train
    from trainer.models.parts.dropout import ReplicaDropout

__all__ = ["ReplicaDropout", "TrainConfig", "evaluate", "export", "generate", "train"]

_MODULES = {
    "ReplicaDropout": "trainer.models.parts.dropout",
    "TrainConfig": "trainer.config",
    "evaluate": "trainer.evaluation.evaluate",
    "export": "trainer.exporting.directory",
    "generate": "trainer.generation.sampler",
    "train": "trainer.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "TrainConfig":  # which needs no Keras
        from trainer.quiet import check_backend

        check_backend()
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
