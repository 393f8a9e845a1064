"""Assembly of a run: configuration -> devices, model, optimizer and compiled steps."""

import contextlib
import dataclasses

import tensorflow as tf

from trainer.config import TrainConfig
from trainer.embeddings.freezing import Freeze
from trainer.hosts.environment import Hosts
from trainer.hosts.strategy import make_strategy
from trainer.models import LanguageModel, build_model
from trainer.models.parts.devices import on_cpu
from trainer.steps.averaging import WeightAverage
from trainer.steps.lanes import LaneState
from trainer.steps.optimization import LearningRate, Optimizer, make_optimizer
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe
from trainer.steps.threads import has_halves, is_compiled


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assembly:
    """What trains and measures a model.

    Attributes:
        strategy: the devices.
        model: built, with initial weights.
        optimizer: built for the model.
        learning_rate: step, counted from 0 -> the optimizer's rate in it, a float32 scalar.
        runner: the compiled steps.
        lanes: what the lanes remember; None for windows.
        average: of the weights over the steps; None for none.
    """

    strategy: tf.distribute.Strategy
    model: LanguageModel
    optimizer: Optimizer
    learning_rate: LearningRate
    runner: StepRunner
    lanes: LaneState | None
    average: WeightAverage | None

    def to_be_used(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the model has the weights that it is used by: the average, where there is one."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place()


def assemble(config: TrainConfig, vocabulary_size: int, hosts: Hosts | None = None) -> Assembly:
    """Builds what a configuration describes.

    Make one assembly a process: see `make_strategy`.

    Args:
        config: the run's options.
        vocabulary_size: number of token ids.
        hosts: the processes that train together; None for this one alone.

    Raises:
        OptionError: the options and the devices cannot work together.
    """
    strategy = make_strategy(config, hosts)
    recipe = step_recipe(config, strategy)
    with strategy.scope():
        use_cudnn = not (recipe.jit or config.on_tpu)
        model = build_model(config, vocabulary_size, use_cudnn=use_cudnn)
        optimizer = make_optimizer(config, model)
        lanes = LaneState(strategy, model, config.batch_size) if config.lanes else None
        average = WeightAverage(strategy, model, decay=config.ema) if config.ema else None
        step = ReplicaStep(
            strategy,
            model,
            optimizer,
            recipe,
            freeze=_freeze(config, model),
            lanes=lanes,
            average=average,
        )
    return Assembly(
        strategy=strategy,
        model=model,
        optimizer=optimizer,
        learning_rate=LearningRate.from_config(config),
        runner=StepRunner(step, runs_ahead=not on_cpu()),
        lanes=lanes,
        average=average,
    )


def step_recipe(config: TrainConfig, strategy: tf.distribute.Strategy) -> StepRecipe:
    """Returns how the steps of a run are computed on some devices."""
    halves = has_halves(config) and on_cpu() and strategy.num_replicas_in_sync == 1
    return StepRecipe(
        batch_size=config.batch_size,
        tokens_per_row=config.seq_len if config.targets == "sequence" else 1,
        clip_norm=config.clip_norm,
        accumulate_steps=config.accumulate_steps,
        label_smoothing=config.label_smoothing,
        halves=halves,
        jit=_use_jit(config, strategy.num_replicas_in_sync),
    )


def _use_jit(config: TrainConfig, num_replicas: int) -> bool:
    """Whether XLA compiles the steps: where it was asked to, or is known to help."""
    if on_cpu() and num_replicas == 1:
        return is_compiled(config)
    helps = config.model == "mingru" and num_replicas == 1
    return config.jit == "on" or (config.jit == "auto" and helps)


def _freeze(config: TrainConfig, model: LanguageModel) -> Freeze | None:
    steps = config.freeze_embeddings_steps
    return Freeze(model.embedding.embeddings, steps) if steps else None
