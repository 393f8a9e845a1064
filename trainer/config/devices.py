"""Options of the devices: where a run computes, and how."""

import dataclasses

from pipeline.errors import OptionError
from pipeline.options import check_int, check_text, option
from trainer.config.durations import seconds_of

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
JIT_MODES = ("auto", "off", "on")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """The devices and what they are told to do; never what is trained."""

    strategy: str = option(
        "devices to train on; auto: the --tpu, the workers that TF_CONFIG, CLUSTER_SPEC or Slurm "
        "name, every GPU of this machine, else one device",
        default="auto",
        choices=STRATEGIES,
        identity=False,
    )
    tpu: str | None = option(
        "name or address of a TPU; local: the one of this TPU VM",
        default=None,
        metavar="NAME",
        identity=False,
    )
    jit: str = option(
        "compile the whole step with XLA; auto: on a CPU an LSTM in float32, elsewhere a "
        "MinGRU, which is faster; never cuDNN's kernels, which on leaves unused. On a CPU what "
        "stands between products of matrices is compiled in any case",
        default="auto",
        choices=JIT_MODES,
        identity=False,
    )
    accumulate_steps: int = option(
        "parts of a step's windows to compute one after the other, to save memory; the update "
        "is that of the whole step",
        default=1,
        parse=int,
        identity=False,
    )
    recompute: bool = option(
        "compute each layer of a Transformer anew for its gradients, to save memory: for long "
        "windows; what is trained is the same",
        default=False,
        identity=False,
    )
    startup_timeout: str = option(
        "time to wait for the other workers: 90s, 10m, 2h",
        default="10m",
        metavar="TIME",
        identity=False,
    )

    def check_devices(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        check_int(self, 1, "accumulate_steps")
        check_text(self, "startup_timeout")
        if seconds_of(self.startup_timeout) is None:
            raise OptionError(
                "`startup_timeout` must be a time such as 90s, 10m or 2h, got "
                f"{self.startup_timeout!r}; change --startup_timeout"
            )
        if self.jit == "on" and self.strategy in ("mirrored", "multi_worker"):
            raise OptionError(
                f"`jit` must not be 'on' with `strategy` {self.strategy!r} (the replicas' "
                "exchange does not compile); leave --jit out, or use --strategy one_device"
            )
        if self.jit == "on" and self.on_tpu:
            raise OptionError(
                "`jit` must not be 'on' on a TPU, where every step is compiled anyway; "
                "leave --jit out"
            )
        if self.tpu is not None and self.strategy not in ("auto", "tpu"):
            raise OptionError(
                f"`tpu` must not be given with `strategy` {self.strategy!r}, got {self.tpu!r}; "
                "leave --tpu out or use --strategy tpu"
            )
        if not self.tpu and self.on_tpu:
            raise OptionError(
                f"`tpu` must name the TPU with `strategy` {self.strategy!r}, got {self.tpu!r}; "
                "give --tpu NAME, or --tpu local on a TPU VM"
            )

    @property
    def startup_seconds(self) -> float:
        """Seconds to wait for the other workers."""
        seconds = seconds_of(self.startup_timeout)
        assert seconds is not None
        return seconds

    @property
    def on_tpu(self) -> bool:
        """Whether a TPU trains."""
        return self.strategy == "tpu" or self.tpu is not None
