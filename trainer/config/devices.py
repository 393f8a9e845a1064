"""Where a run computes, and how."""

import dataclasses

from pipeline.errors import OptionError
from trainer.config.option import option

STRATEGIES = ("auto", "one_device", "mirrored")
JIT_MODES = ("off", "on")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """The devices and what they are told to do; never what is trained."""

    strategy: str = option(
        "devices to train on; auto: every GPU of this machine, else one device",
        default="auto",
        choices=STRATEGIES,
        identity=False,
    )
    jit: str = option(
        "compile the step with XLA; off is faster for an LSTM, on a CPU and with cuDNN",
        default="off",
        choices=JIT_MODES,
        identity=False,
    )

    def check_devices(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        if self.jit == "on" and self.strategy == "mirrored":
            raise OptionError(
                "`jit` must not be 'on' with `strategy` 'mirrored' (the replicas' exchange does "
                "not compile); use --jit off or --strategy one_device"
            )
