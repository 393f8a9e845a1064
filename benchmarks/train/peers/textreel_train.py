"""textreel train, the whole command; the corpus lies beside the ids. Takes flags of the command.

The rate is that of the reports after the first, which holds the compilation. A run of some steps
is made first, to learn how many steps the wanted time takes; the measured run continues it.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import BATCH, SEQ_LEN, WARM_UP_STEPS, flags, options, peak_gigabytes, seconds

REPORT_STEPS = 10 if flags.get("model") == "transformer" else 50


def train(run, steps):
    command = [sys.executable, "-m", "trainer.task", f"{sys.argv[1]}.corpus"]
    command += [f"--output={run}", f"--steps={steps}", f"--log_every={REPORT_STEPS}"]
    command += ["--eval_every=0", "--clip_norm=0", "--validation_split=train", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "tokens_per_second" in line]


with tempfile.TemporaryDirectory() as run:
    first = train(run, WARM_UP_STEPS + 2 * REPORT_STEPS)
    rate = first[-1]["tokens_per_second"]
    more = max(2, round(seconds * rate / (BATCH * SEQ_LEN * REPORT_STEPS)))
    start = first[-1]["step"]
    rows = [row for row in train(run, start + (more + 1) * REPORT_STEPS) if row["step"] > start][1:]
    result = {
        "tokens_per_second": statistics.median(row["tokens_per_second"] for row in rows),
        "loss": rows[-1]["loss"],
        "gigabytes": peak_gigabytes(resource.RUSAGE_CHILDREN),
        "input_wait": statistics.mean(row["input_wait"] for row in rows),
    }
    print(json.dumps(result), flush=True)
