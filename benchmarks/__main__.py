"""Reruns every table of `benchmarks/results`, one after the other.

    python -m benchmarks --environments DIR [--only TABLE...] [--tokenizers FOLDER]

Before each table stands how long it took on two cores. Peers run in virtual environments of their
own, which are made in DIR from PyPI (5 GB); DIR also gets what the records need (12 GB) and loses
it again. FOLDER has published `tokenizer.json` files; without it, their table is left as it is.
The first table that fails, or Ctrl-C, ends the command: name the rest with `--only`.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Table -> minutes on two cores, its command. DIR and FOLDER stand for the arguments.
TABLES = {
    "prepare_50MB": (12, ["prepare", "--environments", "DIR"]),
    "prepare_300MB": (45, ["prepare", "--environments", "DIR", "--megabytes", "300"]),
    "windows": (10, ["windows", "--environments", "DIR"]),
    "train": (40, ["train", "--environments", "DIR", "--megabytes", "5", "--seconds", "3"]),
    "train_as_avx2": (6, ["train", "--environments", "DIR", "--megabytes", "5", "--as_avx2"]),
    "original": (43, ["original"]),
    "shuffle": (6, ["shuffle.py"]),
    "records": (60, ["records", "--folder", "DIR", "--gigabytes", "10", "--seconds", "10"]),
    "stores": (25, ["stores", "--environments", "DIR"]),
    "published_tokenizers": (3, ["published_tokenizers.py", "FOLDER"]),
}


def main() -> int:
    """Runs the benchmarks; the exit code of the first that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--tokenizers", type=Path)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    arguments = parser.parse_args()
    names = [name for name in TABLES if name in arguments.only]
    if arguments.tokenizers is None and "published_tokenizers" in names:
        names.remove("published_tokenizers")
        print("published_tokenizers is left out: it needs --tokenizers FOLDER")
    total = sum(TABLES[name][0] for name in names)
    print(f"{len(names)} tables, about {total} minutes on two cores", flush=True)
    variables = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    for name in names:
        minutes, (script, *options) = TABLES[name]
        print(f"\n== {name}, about {minutes} minutes", flush=True)
        places = {"DIR": arguments.environments, "FOLDER": arguments.tokenizers}
        command = [sys.executable, HERE / script, *(places.get(word, word) for word in options)]
        try:
            code = subprocess.run(command, env=variables, check=False).returncode
        except KeyboardInterrupt:  # the benchmark got it, too, and kept what it had
            code = 130
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
