"""Checks of an accelerator: does training there what it does on a CPU?

Each gives rows of the table. `flags` of each are those that all its runs share.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.accelerator.training import ON_CPU, ROOT, reports, start, train

Train = Callable[[list[str], dict[str, str] | None], None]

MODELS = ("lstm", "gru", "mingru", "transformer")
TOLERANCES = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 2e-2}  # of a loss, relative


class Row(NamedTuple):
    """A row of the table; `verdict` is "yes", "no", or "" where nothing was claimed."""

    name: str
    result: str
    verdict: str


_DEVICES = """
import json, platform
import keras, numpy, tensorflow as tf
build = tf.sysconfig.get_build_info()
gpus = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(gpu).get("device_name", "?") for gpu in gpus]
print(json.dumps({
    "GPUs": names, "TPUs": len(tf.config.list_physical_devices("TPU")),
    "Python": platform.python_version(), "TensorFlow": tf.__version__, "Keras": keras.__version__,
    "NumPy": numpy.__version__, "CUDA": build.get("cuda_version"),
    "cuDNN": build.get("cudnn_version"),
}))
"""


def devices() -> dict[str, object]:
    """The accelerators that TensorFlow finds, and the versions of what runs on them."""
    done = subprocess.run(
        [sys.executable, "-c", _DEVICES], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


_PROFILE = """
import sys
import tensorflow as tf
from pipeline.options import from_flags
from trainer import task
from trainer.config import TrainConfig
from trainer.loop import train
config = from_flags(TrainConfig, task.build_parser().parse_args(sys.argv[2:]))
tf.profiler.experimental.start(sys.argv[1])
train(config, quiet=True)
tf.profiler.experimental.stop()
"""


def kernels(folder: Path, flags: list[str], *, wanted: bool) -> list[Row]:
    """Which kernels an LSTM ran by, as TensorFlow's profiler saw them.

    Args:
        folder: for the run and the profile.
        flags: of the runs.
        wanted: whether cuDNN's are expected.
    """
    command = [sys.executable, "-c", _PROFILE, str(folder / "profile")]
    flags = [*flags, f"--output={folder / 'run'}", "--model=lstm", "--steps=4"]
    subprocess.run([*command, *flags], check=True, capture_output=True, cwd=ROOT)
    (profile,) = (folder / "profile").rglob("*.xplane.pb")
    # The names of what ran are plain text in it, and its format is of TensorFlow's own.
    found = sorted({name.decode() for name in re.findall(rb"\bCudnnRNN\w*", profile.read_bytes())})
    text = ", ".join(found) or "none of cuDNN's"
    return [Row("kernels of an LSTM, by the profiler", text, _verdict(bool(found) == wanted))]


def losses(
    folder: Path,
    flags: list[str],
    *,
    models: Sequence[str] = MODELS,
    precisions: Sequence[str] = tuple(TOLERANCES),
    steps: int = 100,
    run: Train = train,
) -> list[Row]:
    """The largest difference of a step's loss to the CPU's, relative, for each model."""
    rows = []
    for model in models:
        for precision in precisions:
            found = []
            for place, environment in (("here", {}), ("cpu", ON_CPU)):
                output = folder / f"{model}-{precision}-{place}"
                options = [f"--model={model}", f"--precision={precision}", "--log_every=1"]
                options += [f"--steps={steps}", "--dropout=0", f"--output={output}"]
                run([*flags, *options], environment)
                found.append(np.array([report["loss"] for report in reports(output)]))
            here, expected = found
            difference = float(np.abs(here / expected - 1).max())
            rows.append(
                Row(
                    f"losses of {steps} steps as on the CPU: {model}, {precision}",
                    f"differ by {difference:.1e}; allowed {TOLERANCES[precision]:g}",
                    _verdict(len(here) == steps and difference <= TOLERANCES[precision]),
                )
            )
    return rows


def resumption(folder: Path, flags: list[str], *, steps: int = 40, run: Train = train) -> list[Row]:
    """Whether a stopped and resumed run is the straight one bit for bit, with dropout."""
    from trainer.run.checkpoint import newest_checkpoint

    paths = []
    for name, parts in (("straight", [steps]), ("resumed", [steps // 2, steps])):
        output = folder / name
        for count in parts:
            options = [f"--steps={count}", "--dropout=0.2", f"--output={output}"]
            run([*flags, *options], {"TF_DETERMINISTIC_OPS": "1"})
        paths.append(newest_checkpoint(output))
    first, second = map(_values, paths)
    different = [name for name in first if first[name] != second.get(name)]
    text = f"{len(different)} of {len(first)} values differ"
    is_same = not different and first.keys() == second.keys()
    return [Row("resumed run, with TF_DETERMINISTIC_OPS=1", text, _verdict(is_same))]


def _values(path: str | None) -> dict[str, bytes]:
    import tensorflow as tf

    assert path is not None
    reader = tf.train.load_checkpoint(path)
    return {
        name: np.asarray(reader.get_tensor(name)).tobytes()
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("variables/", "optimizer/"))
    }


def processes(folder: Path, flags: list[str], *, num_gpus: int, steps: int = 20) -> list[Row]:
    """Whether two processes, with a GPU each where there are two, train what one does."""
    ports = []
    for _ in range(2):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
    addresses = [f"127.0.0.1:{port}" for port in ports]
    flags = [*flags, f"--steps={steps}", f"--log_every={steps}", "--dropout=0"]
    workers = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        environment = {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
        if num_gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(index % num_gpus)
            environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        workers.append(start([*flags, f"--output={folder / 'two'}"], environment))
    errors = [worker.communicate()[1] for worker in workers]
    place = f"{num_gpus} GPU(s)" if num_gpus else "the CPU"
    name = f"two processes on {place} train what one does"
    for worker, error in zip(workers, errors, strict=True):
        if worker.returncode:
            return [Row(name, error.strip().rpartition("\n")[2][-300:], "no")]
    train([*flags, f"--output={folder / 'one'}"])
    two, one = (reports(folder / run)[-1]["loss"] for run in ("two", "one"))
    difference = abs(two / one - 1)
    verdict = _verdict(difference <= TOLERANCES["float32"])
    return [Row(name, f"mean losses of {steps} steps differ by {difference:.1e}", verdict)]


def termination(folder: Path, flags: list[str], *, seconds: float = 20.0) -> list[Row]:
    """How long after SIGTERM a run has saved and ended, with a report after 10^6 steps only.

    Args:
        folder: for the run.
        flags: of the run.
        seconds: between its first save and the signal.
    """
    from trainer.run.checkpoint import newest_step

    # Saved after the first step, and not again: nothing else is due.
    rare = ["--steps=1000000", "--log_every=1000000", "--save_every=0.01s"]
    with start([*flags, *rare, f"--output={folder / 'run'}"]) as process:
        while newest_step(folder / "run") == 0:
            if process.poll() is not None:
                raise RuntimeError((process.stderr.read() if process.stderr else "")[-300:])
            time.sleep(0.1)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        process.communicate()
    waited, step = time.monotonic() - sent, newest_step(folder / "run")
    text = f"saved step {step}, exit code {process.returncode} after {waited:.1f} s"
    return [Row("SIGTERM", text, _verdict(process.returncode == 143 and step > 1))]


def _verdict(is_right: bool) -> str:
    return "yes" if is_right else "no"
