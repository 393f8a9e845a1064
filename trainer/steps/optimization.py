"""Optimizers of a run, and the course of their learning rate."""

import math
from typing import Any

import keras
import tensorflow as tf

from trainer.config import TrainConfig
from trainer.steps.loss_scale import LossScale


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step: a linear rise, and then constant or down.

    The cosine is that of Loshchilov and Hutter 2017 (https://arxiv.org/abs/1608.03983),
    without restarts: at step `s` of its `n` the rate lies `(1 + cos(pi * s / n)) / 2` of the
    way from the lowest to the highest.

    Where the decay begins later than the warm-up ends (warm-up, stable, decay; Hu et al. 2024,
    https://arxiv.org/abs/2404.06395), it falls with the square root instead, which was better
    than a line or a cosine there (Hägele et al. 2024, https://arxiv.org/abs/2405.18392): at step
    `s` of its `n` the rate lies `1 - sqrt(s / n)` of the way from the lowest to the highest.

    Example: peak 1, 2 steps of warm-up, decay to 0 at step 6: the steps from 0 on have the
    rates `0.5 1 1 0.85 0.5 0.15 0 0 …`.

    Args:
        peak: the highest rate.
        warmup_steps: step `s` of these has `(s + 1) / warmup_steps` of the peak.
        decay_steps: the step at which the decay reaches `lowest`; None for a constant rate.
        decay_begin: the step at which a decay by the square root begins; None for half a cosine,
            begun where the warm-up ended.
        lowest: the rate from `decay_steps` on.
    """

    def __init__(
        self,
        peak: float,
        *,
        warmup_steps: int = 0,
        decay_steps: int | None = None,
        decay_begin: int | None = None,
        lowest: float = 0.0,
    ) -> None:
        self._peak = peak
        self._warmup_steps = warmup_steps
        self._decay_steps = decay_steps
        self._decay_begin = decay_begin
        self._lowest = lowest

    @classmethod
    def from_config(cls, config: TrainConfig) -> "LearningRate":
        """Returns the learning rate of a run."""
        lowest_ratio = config.lowest_learning_rate_ratio
        return cls(
            config.learning_rate,
            warmup_steps=config.warmup_steps,
            decay_steps=config.decay_end,
            decay_begin=config.decay_begin,
            lowest=0.0 if lowest_ratio is None else lowest_ratio * config.learning_rate,
        )

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        """Returns the rate of a step, counted from 0: a float32 scalar."""
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self._peak, tf.float32)
        if self._decay_steps is not None:
            begin = self._warmup_steps if self._decay_begin is None else self._decay_begin
            done = tf.clip_by_value((step - begin) / (self._decay_steps - begin), 0, 1)
            if self._decay_begin is None:
                height = (1 + tf.cos(math.pi * done)) / 2
            else:
                height = 1 - tf.sqrt(done)
            rate = self._lowest + (self._peak - self._lowest) * height
        if self._warmup_steps:
            rate *= tf.minimum((step + 1) / self._warmup_steps, 1)
        return rate


class Optimizer(keras.optimizers.Optimizer):
    """A Keras optimizer that takes gradients summed over the replicas already.

    Keras' own optimizers clip a replica's gradients and then sum; clipping must come after
    the sum. So the step sums and clips, and the optimizer must not sum again. The test of
    one replica against two guards this override of a private method.

    Attributes:
        loss_scale: what its gradients are multiplied by, in float16; else None.
    """

    loss_scale: LossScale | None = None

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        return list(grads_and_vars)


class Adam(Optimizer, keras.optimizers.Adam):
    """Adam (Kingma and Ba 2014, https://arxiv.org/abs/1412.6980)."""


class AdamW(Optimizer, keras.optimizers.AdamW):
    """Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101)."""


class Muon(Optimizer, keras.optimizers.Muon):
    """Muon (https://kellerjordan.github.io/posts/muon): matrices move by orthogonal steps.

    The step of a matrix is its momentum made orthogonal, in the size of Adam's steps (Liu et al.
    2025, https://arxiv.org/abs/2502.16982), so that one learning rate serves both. Embeddings,
    logits, biases, scales and the taps of convolutions move by Adam.
    """


class RMSprop(Optimizer, keras.optimizers.RMSprop):
    """RMSprop, what `lstm_text_generation.py` trained with."""


def make_optimizer(config: TrainConfig, model: keras.Model) -> Optimizer:
    """Returns the optimizer of a run, not built yet. Call it inside the strategy's scope.

    Weight decay spares biases, the scales of norms and embeddings: pulling a scale to 0
    shrinks nothing that the next layer could not undo, and a token's vector would decay while
    the token does not occur.

    Args:
        config: the run's options.
        model: built; what it will train.
    """
    rate = LearningRate.from_config(config)
    optimizer: Optimizer
    if config.optimizer == "rmsprop":
        optimizer = RMSprop(rate)
    elif config.optimizer == "adamw":
        optimizer = AdamW(rate, weight_decay=config.weight_decay_rate)
        _spare_from_decay(optimizer, model)
    elif config.optimizer == "muon":
        optimizer = Muon(
            rate,
            weight_decay=config.weight_decay_rate,
            adam_weight_decay=config.weight_decay_rate,
            exclude_layers=["bias", "taps", "logits"],
        )
        _spare_from_decay(optimizer, model)
    else:
        optimizer = Adam(rate)
    if config.precision == "float16":
        optimizer.loss_scale = LossScale()
    return optimizer


def _spare_from_decay(optimizer: Optimizer, model: keras.Model) -> None:
    optimizer.exclude_from_weight_decay(
        [variable for variable in model.trainable_variables if not _decays(variable)]
    )


def _decays(variable: keras.Variable) -> bool:
    # A GRU's bias is a matrix: two rows of biases.
    return len(variable.shape) > 1 and variable.name not in ("bias", "embeddings", "taps")
