"""Two epochs of windows of a corpus, as fast as they come.

    python epochs.py CORPUS [CACHE]

Prints seconds, a line each: until the first batch; until the end of the epoch; then, once the cache
has every shard, or no other one for ten seconds, `cached`; and those of the second epoch. Without
CACHE TensorFlow reads `gs://` itself.
"""

import sys
import time
from pathlib import Path

import tensorflow as tf  # noqa: F401 - not to be counted

from pipeline import Corpus, open_corpus

BATCH_SIZE = 64


def main() -> None:
    """Reads, and says how long that took."""
    uri, *cache = sys.argv[1:]
    started = time.perf_counter()
    corpus = open_corpus(uri, cache_dir=cache[0] if cache else None)
    num_batches = corpus.num_windows("train", seq_len=256) // BATCH_SIZE
    batches = iter(corpus.windows("train", seq_len=256, batch_size=BATCH_SIZE))
    next(batches)
    say(time.perf_counter() - started)
    for _ in range(num_batches - 1):
        next(batches)
    say(time.perf_counter() - started)
    if cache:
        wait_for_all(corpus, Path(cache[0]))
    say("cached")
    started = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    say(time.perf_counter() - started)


def say(text: object) -> None:
    """Prints a line at once."""
    print(text, flush=True)


def wait_for_all(corpus: Corpus, cache: Path) -> None:
    """Waits until the shards are in the cache, as long as there are more and more."""
    wanted = {shard.file for shard in corpus.manifest.splits["train"].shards}
    found, since = -1, time.monotonic()
    while found < len(wanted) and time.monotonic() < since + 10:
        now = len(wanted & {path.name for path in cache.glob("*/*")})
        if now > found:
            found, since = now, time.monotonic()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
