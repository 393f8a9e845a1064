"""The `tf.distribute` strategy of a run, from its configuration and the visible devices.

Every strategy has the same face (`tf.distribute.Strategy`): the training loop asks it for
its hosts and replicas and never for its kind. A further kind is one more branch in
`make_strategy`.
"""

import tensorflow as tf

from pipeline.errors import OptionError
from trainer.config import TrainConfig


def make_strategy(config: TrainConfig) -> tf.distribute.Strategy:
    """Chooses the devices to train on.

    `auto` mirrors the model over several GPUs and otherwise uses one device: the GPU
    where there is one, else the CPU. `mirrored` uses every GPU or, without a GPU, every
    logical CPU device (tests make two of one CPU).

    Make one strategy a process: a second `MirroredStrategy` breaks the first one's
    collectives.

    Args:
        config: the run's options; `strategy`, `jit` and `batch_size` are read.

    Returns:
        The strategy.

    Raises:
        OptionError: `batch_size` is not a multiple of the number of replicas, or
            `mirrored` finds a single device.
    """
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    kind = config.strategy
    if kind == "auto":
        kind = "mirrored" if len(gpus) > 1 and config.jit != "on" else "one_device"
    strategy: tf.distribute.Strategy
    if kind == "mirrored":
        if len(devices) < 2:
            raise OptionError(
                f"`strategy` 'mirrored' needs two or more devices, found {len(devices)} "
                f"({devices[0].name}); use --strategy one_device"
            )
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    else:
        strategy = tf.distribute.OneDeviceStrategy(devices[0].name)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise OptionError(
            f"`batch_size` must be a multiple of the number of replicas ({replicas}), got "
            f"{config.batch_size}; change --batch_size to "
            f"{-(-config.batch_size // replicas) * replicas}"
        )
    parts = replicas * config.accumulate_steps
    if config.batch_size % parts:
        raise OptionError(
            f"`batch_size` must be a multiple of `accumulate_steps` ({config.accumulate_steps}) "
            f"times the number of replicas ({replicas}), got {config.batch_size}; change "
            f"--batch_size to {-(-config.batch_size // parts) * parts}, or --accumulate_steps"
        )
    return strategy


def use_jit(config: TrainConfig, strategy: tf.distribute.Strategy) -> bool:
    """Says whether to compile the per-replica step with XLA.

    Args:
        config: the run's options; `jit` is read.
        strategy: where the step runs.

    Raises:
        OptionError: `jit` is 'on' under several replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if config.jit == "on" and replicas > 1:
        raise OptionError(
            f"`jit` must not be 'on' with {replicas} replicas (their exchange does not "
            "compile); use --jit off or --strategy one_device"
        )
    return config.jit == "on"
