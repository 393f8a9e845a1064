"""processor: bfloat16 is warned of where it is only emulated."""

from pathlib import Path

import pytest
import tensorflow as tf
from training import tiny

from trainer.hosts.processor import slow_bfloat16_text

EPYC = "model name\t: AMD EPYC\nflags\t\t: fpu sse avx avx2 sha_ni\n"
XEON = "model name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile\n"
GRAVITON = "Features\t: fp asimd sve i8mm bf16 dgh\n"


@pytest.mark.parametrize(
    ("cpuinfo", "precision", "warns"),
    [
        (EPYC, "bfloat16", True),
        (EPYC, "float32", False),
        (EPYC, "float16", False),
        (XEON, "bfloat16", False),
        (GRAVITON, "bfloat16", False),
        (None, "bfloat16", False),
    ],
)
def test_who_is_warned(tmp_path: Path, cpuinfo: str | None, precision: str, warns: bool) -> None:
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    text = slow_bfloat16_text(tiny("c", "r", precision=precision), file)
    assert (text is not None) == warns
    if text is not None:
        assert "17,000 beside 33,000 tokens/s" in text


def test_an_accelerator_multiplies_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(EPYC)
    devices = [tf.config.LogicalDevice(f"/device:{kind}:0", kind) for kind in ("CPU", "GPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    config = tiny("c", "r", precision="bfloat16")
    assert slow_bfloat16_text(config, tmp_path / "cpuinfo") is None
