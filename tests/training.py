"""What the trainer's tests share: tiny configurations, child processes, checkpoint contents."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent


def tiny(corpus: Path | str, output: Path | str, **changes: Any) -> Any:
    """A configuration that trains in a second or two; dropout is on."""
    from trainer.config import TrainConfig

    settings = {
        "layers": 2,
        "units": 16,
        "embedding_dim": None if changes.get("model") in ("mingru", "transformer") else 8,
        "dropout": 0.3,
        "seq_len": 16,
        "batch_size": 8,
        "steps": 12,
        "eval_every": 0,
        "save_every": 6,
        "log_every": 4,
        "sample_tokens": 10,
        "sample_temperatures": (0.5,),
    }
    return TrainConfig(corpus=str(corpus), output=str(output), **{**settings, **changes})


def figures(**changes: Any) -> Any:
    """What a run has to say after step 12,000."""
    from trainer.reports.meter import TrainingFigures

    settings: dict[str, Any] = {
        "step": 12_000,
        "tokens": 1,
        "seconds": 1.0,
        "loss": 1.23456,
        "bits_per_byte": 1.78123,
        "tokens_per_second": 53_012.3,
        "input_wait": 0.0034,
        "learning_rate": 0.0012,
        "gradient_norm": 0.5,
        "skipped_steps": 0,
        "memory_bytes": 873_000_000,
        "gpu_memory_bytes": None,
        "seconds_left": 754.0,
    }
    return TrainingFigures(**{**settings, **changes})


def start_child(code: str, *arguments: str, stdin: bool = False) -> "subprocess.Popen[str]":
    """Starts `python -c CODE ARGUMENT...` where the packages and this module are importable."""
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.PIPE if stdin else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_child(code: str, *arguments: str) -> str:
    """Runs a child to its end and returns its stdout; a failure shows its stderr."""
    with start_child(code, *arguments) as child:
        stdout, stderr = child.communicate(timeout=300)
    assert child.returncode == 0, stderr
    return stdout


def checkpoint_arrays(path: str) -> dict[str, Any]:
    """Returns every value in a checkpoint but TensorFlow's own bookkeeping."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


def assert_same_bits(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Fails unless two checkpoints hold the same names and the same bits."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        same = np.asarray(value).tobytes() == np.asarray(second[name]).tobytes()
        assert same if not isinstance(value, bytes) else value == second[name], name


def read_events(run: Path) -> dict[str, dict[int, Any]]:
    """Returns what a run's event files hold: tag -> step -> value; `train/loss`."""
    import tensorflow as tf

    found: dict[str, dict[int, Any]] = {}
    for path in sorted((run / "events").glob("*/events.out.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                content = tf.make_ndarray(value.tensor).item()
                plugin = value.metadata.plugin_data.plugin_name
                tag = f"{path.parent.name}/{value.tag}" if plugin == "scalars" else value.tag
                found.setdefault(tag, {})[event.step] = content
    return found


def write_metrics(run: Path, *, height: float) -> list[dict[str, Any]]:
    """The metrics of 100 steps that fall from 4 bits above `height` to it."""
    entries = []
    for step in range(1, 101):
        bits: float | None = height + 4 * (1 - step / 100)
        if step == 50:
            bits = None  # a loss that was not finite
        entry = {"kind": "train", "step": step, "tokens": step * 64, "seconds": step / 8}
        entries.append({**entry, "bits_per_byte": bits})
        if step % 25 == 0:
            entries.append({**entry, "kind": "validation", "bits_per_byte": height + 1})
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return entries
