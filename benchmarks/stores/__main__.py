"""How fast a corpus is made and read in stores whose requests take a while.

    python benchmarks/stores --environments DIR [--megabytes 50] [--rounds 3] [--only NAME...]

Against moto (s3://) and fake-gcs-server (gs://) on loopback, through the proxy of the tests, which
counts requests and holds each back by 0, 20 and 50 ms: `prepare`, from the store into the store;
two epochs of windows, the first into an empty cache; and the same text streamed by LitData, in a
virtual environment of its own, made in DIR from PyPI if it is not there. The servers
take their share of the processor, moto most of it: compare within a store. Writes
`benchmarks/results/stores.md`; with `--only`, or when stopped, `stores.partial.md`.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peak_memory import proportional_bytes  # noqa: E402
from peer_environments import interpreter, versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import add_options, chosen, measure_in_rounds, write_table  # noqa: E402

STORES = {"s3": "s3", "gs": "google"}  # scheme -> the server's name
MILLISECONDS = (0, 20, 50)
PEERS = {"LitData": ("litdata_s3.py", "litdata")}
FIRST, SECOND = "first epoch", "second epoch"  # the second from the cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What one cell of a row is made of.

    Attributes:
        seconds: in all.
        first: seconds to the first batch.
        requests: how many came to the store.
        up: MB of content that it was sent.
        down: MB that it sent.
        memory: the peak over all processes, in MB, shared pages once.
    """

    seconds: float
    first: float | None = None
    requests: int = 0
    up: float = 0
    down: float = 0
    memory: float = 0


class Server:
    """A server in a process of its own: see `server.py`.

    Attributes:
        environment: what its clients need.
        bucket: a bucket's URI.
    """

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, HERE / "server.py", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.environment = {**os.environ, **json.loads(self._process.stdout.readline())}
        self.environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
        self.bucket = self.ask("bucket")

    def ask(self, line: str) -> "str | dict[str, float]":
        """Asks, and returns the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Ends it, and what it started."""
        self._process.communicate()


class Bench:
    """What is measured, and where.

    Args:
        folder: for what is kept meanwhile.
        megabytes: of the text.
        environments: of the peers.
        kinds: schemes of the stores.
        peers: names of peers.
    """

    def __init__(
        self, folder: str, megabytes: int, environments: Path, kinds: set[str], peers: set[str]
    ) -> None:
        self._folder, self._environments, self._count = folder, environments, 0
        self._text = f"{folder}/text.txt"
        make_text(Path(self._text), megabytes * 10**6)
        self.servers = {kind: Server(STORES[kind]) for kind in kinds}
        for server in self.servers.values():
            self._upload(server, self._text, f"{server.bucket}/text.txt")
            self._run(server, self.prepare(server, "corpus", 2))
        for name in peers:
            made = f"{folder}/{name}"
            script = [*self._peer(name), "make", self._text, made]
            subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
            for kind in kinds & {"s3"}:
                self._upload(self.servers[kind], f"{made}/", f"s3://{name.lower()}")

    def measure(self, command: list[str]) -> dict[str, Row]:
        """Row -> what was measured of it; a command is a scheme, milliseconds, what, and more."""
        kind, milliseconds, what, *more = command
        server = self.servers[kind]
        server.ask(f"delay {int(milliseconds) / 1000}")
        self._count += 1
        cache = f"{self._folder}/cache{self._count}"
        corpus = f"{server.bucket}/corpus"
        if what == "prepare":
            seconds, memory, _ = self._run(
                server, self.prepare(server, f"corpus{self._count}", int(more[0]))
            )
            return {"": Row(seconds=seconds, memory=memory, **server.ask("count"))}
        if what == "copy":
            os.mkdir(cache)
            _, _, lines = self._run(server, [sys.executable, HERE / "copying.py", corpus, cache])
            return {"": Row(seconds=lines[0][0], **server.ask("count"))}
        reading = [sys.executable, HERE / "epochs.py", corpus, cache]
        if what == "uncached":
            reading = reading[:-1]
        elif what != "epochs":
            reading = [*self._peer(what), "read", f"s3://{what.lower()}", cache]
        _, memory, lines = self._run(server, reading)
        (first, _), (seconds, _), (_, one), (second, two) = lines
        rows = {FIRST: Row(seconds=seconds, first=first, memory=memory, **one)}
        if what != "uncached":
            rows[SECOND] = Row(seconds=second, **{name: two[name] - one[name] for name in two})
        return rows

    def prepare(self, server: Server, name: str, workers: int) -> list[str]:
        """The command that makes a corpus of the text, both in the store."""
        command = [sys.executable, "-m", "pipeline", "prepare", f"{server.bucket}/text.txt"]
        command += ["-o", f"{server.bucket}/{name}", "--workers", str(workers)]
        return [*command, "--vocabulary", "char", "--splits", "train=1"]

    def _peer(self, name: str) -> list[str]:
        script, packages = PEERS[name]
        return [interpreter(self._environments, packages), str(HERE / "peers" / script)]

    def _upload(self, server: Server, local: str, uri: str) -> None:
        program = (
            "import fsspec, sys; scheme, _, path = sys.argv[2].partition('://')\n"
            "system = fsspec.filesystem(scheme)\n"
            "is_folder = sys.argv[1].endswith('/')\n"
            "if is_folder: system.makedir(path)\n"
            "system.put(sys.argv[1], path, recursive=is_folder)"
        )
        command = [sys.executable, "-c", program, local, uri]
        subprocess.run(command, check=True, env=server.environment)

    def _run(self, server: Server, command: list[str]) -> tuple[float, float, list[tuple]]:
        """Seconds, the peak memory in MB, and each line with the counts of when it came."""
        started = time.perf_counter()
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, env=server.environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            with _peak(process) as peak:
                assert process.stdout is not None
                lines = [
                    (line if line == "cached\n" else float(line), server.ask("count"))
                    for line in process.stdout
                    if re.fullmatch(r"cached\n|[\d.]+\n", line)
                ]
                code = process.wait()
            errors.seek(0)
            if code:
                raise RuntimeError(errors.read().strip().rpartition("\n")[2][-200:])
        return time.perf_counter() - started, max(peak) / 1e6, lines


@contextlib.contextmanager
def _peak(process: "subprocess.Popen[str]") -> Iterator[list[int]]:
    """Looks at the memory meanwhile; ends the process."""
    found = [0]

    def look() -> None:
        while process.poll() is None:
            found[0] = max(found[0], proportional_bytes(process.pid))
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        process.kill()
        thread.join()


def contenders() -> dict[tuple[str, ...], list[str]]:
    """(row, store, milliseconds) -> the command."""
    found: dict[tuple[str, ...], list[str]] = {}
    for kind in STORES:
        for milliseconds in map(str, MILLISECONDS):
            rows = {
                "prepare": ["prepare", "2"],
                "prepare by 8 workers": ["prepare", "8"],
                "textreel": ["epochs"],
            }
            if kind == "gs":
                rows["textreel by TensorFlow's own client"] = ["uncached"]
            else:
                rows |= {name: [name] for name in PEERS}
            rows["limit: copying"] = ["copy"]
            for name, command in rows.items():
                found[f"{kind} {name}", f"{milliseconds} ms"] = [kind, milliseconds, *command]
    return found


def show(result: dict[str, Row]) -> str:
    """What is printed of a result."""
    return "; ".join(
        f"{name or 'all'} {row.seconds:.2f} s, {row.requests:,} requests, {row.up:.0f} MB up, "
        f"{row.down:.0f} MB down, {row.memory:.0f} MB of memory"
        for name, row in result.items()
    )


def table(kind: str, rows: dict[str, dict[str, list[Row]]], megabytes: int) -> list[str]:
    """Lines of a store's table."""
    delays = [f"{milliseconds} ms" for milliseconds in MILLISECONDS]
    lines = [
        "",
        f"| {kind}://, MB/s | {' | '.join(delays)} | first batch, s | requests | MB up | MB down |"
        " peak memory, MB |",
        "|---|" + "---|" * (len(delays) + 5),
    ]
    for name, measured in rows.items():
        if not name.startswith(f"{kind} "):
            continue
        cells, firsts = [], []
        for delay in delays:
            runs = measured.get(delay, [])
            rates = sorted(megabytes / run.seconds for run in runs)
            cells.append(
                f"{statistics.median(rates):.1f} ({rates[0]:.1f}-{rates[-1]:.1f})" if rates else "-"
            )
            first = [run.first for run in runs if run.first is not None]
            firsts += [f"{statistics.median(first):.1f}"] if first else []
        runs = measured[delays[-1]] if delays[-1] in measured else next(iter(measured.values()))
        numbers = [statistics.median(run.requests for run in runs)]
        numbers += [statistics.median(run.up for run in runs)]
        numbers += [statistics.median(run.down for run in runs)]
        memory = max(run.memory for each in measured.values() for run in each)
        last = [f"{number:,.0f}" for number in numbers] + [f"{memory:.0f}" if memory else ""]
        lines.append(f"| {' | '.join([name, *cells, ', '.join(firsts), *last])} |")
    return lines


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=50)
    add_options(parser)
    parser.set_defaults(rounds=3)
    arguments = parser.parse_args()
    wanted = chosen(contenders(), arguments.only)
    peers = {name for name in PEERS if any(name in row for row, _ in wanted)}
    with tempfile.TemporaryDirectory() as folder:
        kinds = {command[0] for command in wanted.values()}
        bench = Bench(folder, arguments.megabytes, arguments.environments, kinds, peers)
        try:
            measured = measure_in_rounds(wanted, bench.measure, rounds=arguments.rounds, show=show)
        finally:
            for server in bench.servers.values():
                server.end()
    rows: dict[str, dict[str, list[Row]]] = {}
    for (name, delay), results in measured.results.items():
        for part in results[0]:
            row = f"{name}, {part}" if part else name
            rows.setdefault(row, {})[delay] = [result[part] for result in results]
    environments = [packages for name, (_, packages) in PEERS.items() if name in peers]
    lines = [
        f"# Corpora in stores: {arguments.megabytes} MB of ASCII, 0, 20 and 50 ms a request",
        "",
        f"`python benchmarks/stores`, {describe()}, {measured.rounds_text} (slowest-fastest). "
        f"{versions_text(arguments.environments, environments)}. The servers run on the same "
        "cores, and moto copies the whole of an object for each range of it that is read: the text "
        "is one. Requests and bytes are those at 50 ms; memory is the peak over all processes, "
        "shared pages once. An epoch's seconds are counted from `open_corpus` on.",
    ]
    for kind in STORES:
        lines += table(kind, rows, arguments.megabytes)
    failures = {name: error for (name, _), error in measured.failed.items()}
    lines += [f"\n{name} does not run here: {error}" for name, error in failures.items()]
    write_table("stores", lines, whole=not arguments.only and not measured.stopped)


if __name__ == "__main__":
    main()
