"""Flags of XLA that its CPU programs need; they are read once, when the first one is compiled.

TensorFlow 2.21 gives reductions and products of float32 to YNNPACK. A program that first runs in
two threads at once, as the halves of a batch do, then writes one list in both: the process dies of
SIGSEGV, at times. Other kernels do the same in the same time.
"""

import os
from pathlib import Path

import tensorflow as tf

_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"


def leave_out_ynnpack() -> None:
    """Has XLA compile reductions and products itself.

    It has no effect where XLA has compiled before, knows no such flag, or `XLA_FLAGS` names the
    flag already or a file of flags.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if _FUSIONS in flags or (flags and not flags.startswith("-")) or not _is_flag(_FUSIONS):
        return
    os.environ["XLA_FLAGS"] = f"{flags} --{_FUSIONS}=-dot,-eltwise,-reduce".strip()


def _is_flag(name: str) -> bool:
    """Whether this TensorFlow's XLA knows a flag, at which it would otherwise end the process.

    The flags are the fields of a message, whose declaration is among TensorFlow's headers.
    """
    header = Path(tf.sysconfig.get_include(), "xla/xla.pb.h")
    return header.exists() and name in header.read_text(encoding="utf-8")
