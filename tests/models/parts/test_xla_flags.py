"""xla_flags: what XLA's programs hold with and without them; flags of the user's own stay."""

from pathlib import Path

import pytest
from training import run_child

from trainer.models.parts import xla_flags
from trainer.models.parts.xla_flags import leave_out_ynnpack

FLAG = "xla_cpu_experimental_ynn_fusion_type"
SOFTMAX = f"""
import os, sys
os.environ["XLA_FLAGS"] = f"--xla_dump_to={{sys.argv[1]}} --xla_dump_hlo_as_text"
import tensorflow as tf
if sys.argv[2] == "trainer":
    import trainer.models
assert ({FLAG!r} in os.environ["XLA_FLAGS"]) == (sys.argv[2] == "trainer")
tf.function(tf.nn.softmax, jit_compile=True)(tf.ones([64, 64, 64]))
"""


@pytest.mark.skipif(not xla_flags._is_known(FLAG), reason="an XLA that has no YNNPACK")
@pytest.mark.parametrize(("imported", "has_ynnpack"), [("trainer", False), ("nothing", True)])
def test_programs_have_no_part_that_two_threads_may_not_begin(
    tmp_path: Path, imported: str, has_ynnpack: bool
) -> None:
    """A program of TensorFlow's own has: the day it does not, the flag can go."""
    run_child(SOFTMAX, str(tmp_path), imported)
    programs = [path.read_text() for path in tmp_path.glob("*after_optimizations.txt")]
    assert len(programs) == 1
    assert ("__ynn_fusion" in programs[0]) == has_ynnpack


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, f"--{FLAG}=-dot,-eltwise,-reduce"),
        (" --xla_dump_to=x ", f"--xla_dump_to=x --{FLAG}=-dot,-eltwise,-reduce"),
        (f"--{FLAG}=dot", f"--{FLAG}=dot"),
        ("flags.txt", "flags.txt"),
    ],
)
def test_flags_of_the_users_own_stay(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.setattr(xla_flags, "_is_known", lambda *names: FLAG in names)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    leave_out_ynnpack()
    assert xla_flags.os.environ["XLA_FLAGS"] == expected


def test_a_flag_that_xla_lacks_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(xla_flags, "_FUSIONS", "xla_no_such_flag")
    leave_out_ynnpack()
    assert "XLA_FLAGS" not in xla_flags.os.environ
