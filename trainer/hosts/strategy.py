"""Strategy of a run: that of `tf.distribute`, from its configuration, its hosts and the devices.

Every strategy has the same face (`tf.distribute.Strategy`): the training loop asks it for
its replicas and never for its kind.
"""

import tensorflow as tf

from pipeline.errors import OptionError, UserError, first_line
from trainer.config import TrainConfig
from trainer.hosts.environment import Hosts


def make_strategy(config: TrainConfig, hosts: Hosts | None = None) -> tf.distribute.Strategy:
    """Chooses the devices to train on.

    `auto` takes the TPU that `tpu` names, else all hosts of the run, else all GPUs of this
    one where there are several, else one device: the GPU where there is one, else the CPU.
    `mirrored` uses every GPU or, without a GPU, every logical CPU device (tests make two of
    one CPU).

    Make one strategy a process: a second `MirroredStrategy` breaks the first one's
    collectives. With several hosts, make it before anything else runs on a device: it waits
    for the others, and TensorFlow connects to them only when it starts.

    Args:
        config: the run's options; `strategy`, `tpu`, `jit`, `batch_size` and
            `accumulate_steps` are read.
        hosts: the processes that train together; None for this one alone.

    Returns:
        The strategy.

    Raises:
        OptionError: `batch_size` is not a multiple of the number of hosts or replicas, or
            the strategy does not fit the hosts and devices that there are.
        UserError: the TPU cannot be reached.
    """
    kind = choose_kind(config, hosts, num_gpus=len(tf.config.list_physical_devices("GPU")))
    if hosts is not None:
        _check_batch_size(config, hosts.count, "hosts")
    strategy: tf.distribute.Strategy
    if kind == "tpu":
        strategy = _tpu(config.tpu or "")
    elif kind == "mirrored":
        strategy = _mirrored()
    elif hosts is not None:
        strategy = _multi_worker(hosts)
    else:
        strategy = _one_device()
    replicas = strategy.num_replicas_in_sync
    _check_batch_size(config, replicas, "replicas")
    parts = replicas * config.accumulate_steps
    if config.batch_size % parts:
        raise OptionError(
            f"`batch_size` must be a multiple of `accumulate_steps` ({config.accumulate_steps}) "
            f"times the number of replicas ({replicas}), got {config.batch_size}; change "
            f"--batch_size to {-(-config.batch_size // parts) * parts}, or --accumulate_steps"
        )
    return strategy


def choose_kind(config: TrainConfig, hosts: Hosts | None, *, num_gpus: int) -> str:
    """Names the strategy: `config.strategy`, or what `auto` comes to.

    Args:
        config: the run's options; `strategy`, `tpu` and `jit` are read.
        hosts: the processes that train together; None for this one alone.
        num_gpus: GPUs of this machine.

    Raises:
        OptionError: the strategy does not fit the hosts.
    """
    kind = config.strategy
    if kind == "auto":
        if config.tpu is not None:
            kind = "tpu"
        elif hosts is not None:
            kind = "multi_worker"
        else:
            kind = "mirrored" if num_gpus > 1 and config.jit != "on" else "one_device"
    if kind == "multi_worker" and hosts is None:
        raise OptionError(
            "`strategy` 'multi_worker' needs several workers, but neither TF_CONFIG nor "
            "CLUSTER_SPEC nor Slurm names more than one; use --strategy auto"
        )
    if kind != "multi_worker" and hosts is not None:
        raise OptionError(
            f"`strategy` {kind!r} must not be used where {hosts.source} names {hosts.count} "
            f"workers: each would train the same run alone; use --strategy multi_worker, or "
            f"unset {hosts.source}"
        )
    if hosts is not None and config.jit == "on":
        raise OptionError(
            f"`jit` must not be 'on' with the {hosts.count} workers that {hosts.source} names "
            "(their exchange does not compile); leave --jit out"
        )
    return kind


def _one_device() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.OneDeviceStrategy(devices[0].name)


def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise OptionError(
            f"`strategy` 'mirrored' needs two or more devices, found {len(devices)} "
            f"({devices[0].name}); use --strategy one_device"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multi_worker(hosts: Hosts) -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(hosts.addresses)}),
        task_type="worker",
        task_id=hosts.index,
        rpc_layer="grpc",
    )
    kinds = tf.distribute.experimental.CommunicationImplementation
    on_gpus = bool(tf.config.list_physical_devices("GPU"))
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=kinds.NCCL if on_gpus else kinds.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


def _tpu(name: str) -> tf.distribute.Strategy:
    """Has not run on a TPU."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"`tpu` {name!r} cannot be reached ({first_line(error)}); give the name or the address "
            "(grpc://HOST:8470) of a TPU, or, on a TPU VM itself, --tpu local"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _check_batch_size(config: TrainConfig, count: int, unit: str) -> None:
    if config.batch_size % count:
        raise OptionError(
            f"`batch_size` must be a multiple of the number of {unit} ({count}), got "
            f"{config.batch_size}; change --batch_size to "
            f"{-(-config.batch_size // count) * count}"
        )
