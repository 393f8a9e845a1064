"""How fast text becomes tokens on disk: textreel beside its peers, in one run.

    python benchmarks/prepare --environments DIR [--megabytes 50] [--rounds 5] [--tokenizer FILE]
        [--only NAME...]

Every contender is a whole process, from its start until its output is synced to disk, on the same
ASCII text, with the lookup table or the BPE given (but for nanoGPT's script, which is as it is).
The rounds go through all contenders in turn. Peers run in virtual environments of their own, which
are made in DIR from PyPI if they are not there. FILE, a published `tokenizer.json` such as Llama
3's, makes one more row, named by its folder. Writes a table and a chart to
`benchmarks/results`; with `--only`, or when stopped, a table `.partial.md`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peak_memory import resident_bytes  # noqa: E402
from peer_environments import interpreter, versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import RESULTS, add_options, chosen, measure_in_rounds, write_table  # noqa: E402

PEERS = {  # (kind, name) -> (script, environment)
    ("characters", "Hugging Face datasets"): ("datasets_char.py", "datasets"),
    ("characters", "Mosaic MDSWriter"): ("mosaic_char.py", "mosaicml-streaming"),
    ("characters", "LitData"): ("litdata_char.py", "litdata"),
    ("characters", "TFDS GeneratorBasedBuilder"): ("tfds_char.py", None),
    ("characters", "nanoGPT's script"): ("nanogpt_char.py", None),
    ("characters", "limit: cp"): ("limit_copy.py", None),
    ("characters", "limit: bytes.translate"): ("limit_translate.py", None),
    ("subwords", "tiktoken"): ("tiktoken_bpe.py", "datasets"),
    ("subwords", "Hugging Face tokenizers"): ("tokenizers_bpe.py", None),
    ("rows", "Megatron-LM's builder, BPE given, JSON Lines"): ("megatron_bpe.py", "megatron-core"),
}


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds until the output is on disk, and the peak memory of all processes in MB."""
    with tempfile.TemporaryDirectory() as output:
        command = [part.replace("OUTPUT", output) for part in command]
        variables = {**os.environ, "HF_HOME": f"{output}/hf", "HF_HUB_OFFLINE": "1"}
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=variables
        )
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, resident_bytes(process.pid))
                time.sleep(0.02)
        finally:
            process.kill()
        for file in Path(output).rglob("*"):
            if file.is_file():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        seconds = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(process.stderr.read().decode().strip().rpartition("\n")[2][-200:])
        return seconds, peak / 1e6


def unigram(text: str, prefix: str) -> str:
    """A SentencePiece model of 8,192 ids that gives every text back, learned from a few MB."""
    from sentencepiece import SentencePieceTrainer

    with open(text, encoding="ascii") as file:
        lines = file.read(4_000_000).splitlines()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=prefix, vocab_size=8192, minloglevel=2,
        model_type="unigram", byte_fallback=True, normalization_rule_name="identity",
        add_dummy_prefix=False, remove_extra_whitespaces=False,
    )  # fmt: skip
    return f"{prefix}.model"


def json_lines(text: str) -> str:
    """The lines of a text as a file of JSON Lines."""
    path = text.replace(".txt", ".jsonl")
    with open(text, encoding="ascii") as file, open(path, "w", encoding="ascii") as rows:
        rows.writelines(json.dumps({"text": line.rstrip("\n")}) + "\n" for line in file)
    return path


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=50)
    add_options(parser)
    parser.add_argument("--tokenizer", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, trained = f"{folder}/text.txt", f"{folder}/trained"
        make_text(Path(text), arguments.megabytes * 10**6)
        textreel = [shutil.which("textreel", path=os.path.dirname(sys.executable)) or "textreel"]
        prepare = [*textreel, "prepare", text, "--output"]
        subprocess.run([*prepare, trained, "--vocabulary", "bpe:8192"], check=True)
        texts = json_lines(text)
        rows = [*textreel, "prepare", texts, "--text_field", "text", "--output"]
        by_line = [*prepare, "OUTPUT/c", "--document", "line"]
        commands = {
            ("characters", "textreel byte"): [*prepare, "OUTPUT/c"],
            ("characters", "textreel char"): [*prepare, "OUTPUT/c", "--vocabulary", "char"],
            ("subwords", "textreel"): [*prepare, "OUTPUT/c", "--vocabulary", trained],
            ("subwords", "textreel, learned from the text"): [
                *prepare,
                "OUTPUT/c",
                "--vocabulary",
                "bpe:8192",
            ],
            ("subwords", "textreel, SentencePiece Unigram"): [
                *prepare,
                "OUTPUT/c",
                "--vocabulary",
                unigram(text, f"{folder}/unigram"),
            ],
        }
        for vocabulary in ("byte", "char", trained):
            name = "BPE given" if vocabulary == trained else vocabulary
            by = ["--vocabulary", vocabulary]
            commands["rows", f"textreel {name}, JSON Lines"] = [*rows, "OUTPUT/c", *by]
            commands["rows", f"textreel {name}, --document line"] = [*by_line, *by]
        if arguments.tokenizer:
            published = str(arguments.tokenizer)
            name = f"textreel, {arguments.tokenizer.resolve().parent.name}"
            commands["subwords", name] = [*prepare, "OUTPUT/c", "--vocabulary", published]
        for (kind, name), (script, packages) in PEERS.items():
            if (kind, name) not in chosen({**commands, **PEERS}, arguments.only):
                continue
            python = interpreter(arguments.environments, packages)
            more = [] if kind == "characters" else [f"{trained}/tokenizer.json"]
            source = texts if kind == "rows" else text
            commands[kind, name] = [python, str(HERE / "peers" / script), source, "OUTPUT", *more]
        wanted = chosen(commands, arguments.only)
        measured = measure_in_rounds(wanted, measure, rounds=arguments.rounds, show=show)
    results, failed = measured.results, measured.failed
    environments = [environment for key, (_, environment) in PEERS.items() if key in wanted]
    lines = [
        f"# Text to tokens on disk: {arguments.megabytes} MB of ASCII, whole processes, synced",
        "",
        f"`python benchmarks/prepare --megabytes {arguments.megabytes}`, {describe()},"
        f" {measured.rounds_text}. {versions_text(arguments.environments, environments)}.",
    ]
    for kind in ("characters", "subwords", "rows"):
        lines += [
            "",
            f"| {kind} | MB/s | slowest-fastest | seconds | peak memory, MB |",
            "|---|---|---|---|---|",
        ]
        for (of, name), runs in results.items():
            if of == kind:
                rates = sorted(arguments.megabytes / seconds for seconds, _ in runs)
                lines.append(
                    f"| {name} | {statistics.median(rates):.0f} | {rates[0]:.0f}-{rates[-1]:.0f}"
                    f" | {statistics.median(s for s, _ in runs):.2f}"
                    f" | {max(peak for _, peak in runs):.0f} |"
                )
        for (of, name), error in failed.items():
            if of == kind:
                lines.append(f"| {name} | does not run here: {error} | | | |")
    whole = not arguments.only and not measured.stopped
    target = f"prepare_{arguments.megabytes}MB"
    write_table(target, lines, whole=whole)
    if whole:
        draw(results, arguments.megabytes, RESULTS / f"{target}.png")


def show(result: tuple[float, float]) -> str:
    """What is printed of a result."""
    seconds, megabytes = result
    return f"{seconds:.2f} s, {megabytes:.0f} MB of memory"


def draw(results: dict, megabytes: int, path: Path) -> None:
    """Bars of the medians."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [f"{name} ({kind})" for kind, name in results]
    rates = [statistics.median(megabytes / s for s, _ in runs) for runs in results.values()]
    figure, axes = pyplot.subplots(figsize=(8, 5))
    colors = ["tab:blue" if "textreel" in name else "tab:gray" for name in names]
    axes.barh(names[::-1], rates[::-1], color=colors[::-1])
    axes.set_xlabel(f"MB of text a second, {megabytes} MB of ASCII, two cores")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
