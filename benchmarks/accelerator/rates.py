"""Tokens a second: textreel with and without XLA, beside PyTorch and Keras's `fit`."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.accelerator.checks import Row, Train
from benchmarks.accelerator.training import ROOT, reports, train

PEERS = Path(__file__).parent / "peers"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """A model and its batches: `layers` of `units`, windows of `seq_len`."""

    model: str
    layers: int
    units: int
    seq_len: int
    batch_size: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.model} {self.layers} x {self.units}, {self.batch_size} x {self.seq_len}"

    def flags(self) -> list[str]:
        """Of `textreel train`."""
        values = dataclasses.asdict(self) | {"embedding_dim": self.units, "dropout": 0}
        if self.model == "transformer":
            values |= {"heads": max(1, self.units // 64)}
            del values["embedding_dim"]
        return [f"--{name}={value}" for name, value in values.items()]


SIZES = [
    Size(model="lstm", layers=1, units=256, seq_len=128, batch_size=256),
    Size(model="lstm", layers=2, units=1024, seq_len=256, batch_size=128),
    Size(model="gru", layers=2, units=1024, seq_len=256, batch_size=128),
    Size(model="transformer", layers=12, units=768, seq_len=1024, batch_size=12),
]
SMALL = [
    Size(model="lstm", layers=1, units=16, seq_len=16, batch_size=8),
    Size(model="transformer", layers=1, units=16, seq_len=16, batch_size=8),
]


def rates(
    folder: Path,
    flags: list[str],
    size: Size,
    *,
    precision: str = "bfloat16",
    jits: tuple[str, ...] = ("off", "on"),
    report_steps: int = 20,
    run: Train = train,
) -> list[Row]:
    """What a run of a size reports after its first report, which holds the compilation."""
    rows = []
    for jit in jits:
        output = folder / f"{size.model}-{size.units}-{jit}"
        options = [f"--log_every={report_steps}", f"--steps={6 * report_steps}", f"--jit={jit}"]
        name = f"{size.name}, {precision}, XLA {jit}"
        try:
            run(
                [*flags, *size.flags(), *options, f"--precision={precision}", f"--output={output}"],
                None,
            )
        except RuntimeError as error:
            rows.append(Row(name, str(error), "no"))
            continue
        found = reports(output)[1:]
        speed = statistics.median(report["tokens_per_second"] for report in found)
        wait = statistics.mean(report["input_wait"] for report in found)
        memory = found[-1].get("gpu_memory_bytes") or found[-1]["memory_bytes"]
        text = f"{speed:,.0f} tokens/s, {memory / 1e6:,.0f} MB, waits for input {wait:.2%}"
        rows.append(Row(name, text, "yes" if wait < 0.01 else "no"))
    return rows


def peer_rates(
    ids: str,
    vocabulary_size: int,
    size: Size,
    *,
    interpreters: dict[str, str],
    precision: str = "bfloat16",
    seconds: float = 10.0,
    call: Callable[[list[str]], str] | None = None,
) -> list[Row]:
    """What others make of the same model and the same tokens.

    Args:
        ids: a file of one byte a token.
        vocabulary_size: number of ids.
        size: of the model.
        interpreters: of each script of `peers`, by its name.
        precision: `"float32"` or `"bfloat16"`.
        seconds: to measure, after a warm-up.
        call: a command -> what it prints.
    """
    rows = []
    for script, python in interpreters.items():
        options = {**dataclasses.asdict(size), "ids": ids, "vocabulary_size": vocabulary_size}
        options |= {"precision": precision, "seconds": seconds}
        command = [python, str(PEERS / f"{script}.py"), json.dumps(options)]
        name = f"{size.name}, {precision}: {script}"
        try:
            found = json.loads((call or _call)(command).splitlines()[-1])
        except RuntimeError as error:
            rows.append(Row(name, str(error), ""))
            continue
        text = f"{found['tokens_per_second']:,.0f} tokens/s"
        if found["memory_bytes"]:
            text += f", {found['memory_bytes'] / 1e6:,.0f} MB"
        rows.append(Row(name, text, ""))
    return rows


def _call(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if command[0] != sys.executable:
        del environment["PYTHONPATH"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2][-300:])
    return done.stdout
