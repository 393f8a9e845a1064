"""Flags of XLA that its CPU programs need; they are read once, when the first one is compiled.

TensorFlow 2.21 gives reductions and products of float32 to YNNPACK. A program that first runs in
two threads at once, as the halves of a batch do, then writes one list in both: the process dies of
SIGSEGV, at times. Other kernels do the same in the same time.
"""

import os
from pathlib import Path

import tensorflow as tf

_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"
_TYPES = {  # as a flag and as declared
    "dot": "LIBRARY_FUSION_TYPE_DOT",
    "eltwise": "LIBRARY_FUSION_TYPE_ELTWISE",
    "reduce": "LIBRARY_FUSION_TYPE_REDUCE",
}


def leave_out_ynnpack() -> None:
    """Has XLA compile reductions and products itself.

    It has no effect where XLA has compiled before, knows no such flag, or `XLA_FLAGS` names the
    flag already or a file of flags. Processes that are started later inherit it.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    is_users = _FUSIONS in flags or (flags and not flags.startswith("-"))
    if is_users or not _is_known(_FUSIONS, *_TYPES.values()):
        return
    os.environ["XLA_FLAGS"] = f"{flags} --{_FUSIONS}=-{',-'.join(_TYPES)}".strip()


def _is_known(*names: str) -> bool:
    """Whether this TensorFlow's XLA knows a flag and its values: at others it ends the process.

    Flags are the fields of a message, whose declaration is among TensorFlow's headers.
    """
    header = Path(tf.sysconfig.get_include(), "xla/xla.pb.h")
    if not header.exists():
        return False
    declarations = header.read_text(encoding="utf-8")
    return all(name in declarations for name in names)
