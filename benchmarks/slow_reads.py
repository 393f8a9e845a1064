"""A remote store, imitated: every read of a shard takes 50 ms more. How much of it is hidden?

    python benchmarks/slow_reads.py CORPUS [--milliseconds 50]

Builds a library that is loaded before the C library's (Linux, needs `cc`) and delays each `pread`
of a `.tfrecord` file, then counts windows a second for several values of `read_ahead`, as a user
gets them, the waiting for every group included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static ssize_t (*real)(int, void *, size_t, off_t);

static void delay(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  if (strstr(path, ".tfrecord-")) usleep(DELAY_US);
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
  if (!real) real = dlsym(RTLD_NEXT, "pread");
  delay(fd);
  return real(fd, buffer, size, offset);
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset) {
  return pread(fd, buffer, size, offset);
}
"""


def count(corpus: str, read_ahead: int) -> None:
    """Prints windows a second over 15 seconds, and seconds to the first batch."""
    from pipeline import open_corpus

    started = time.perf_counter()
    windows = open_corpus(corpus).windows(
        "train", seq_len=256, batch_size=64, read_ahead=read_ahead
    )
    batches = iter(windows)
    next(batches)
    first = time.perf_counter() - started
    num_batches, started = 0, time.perf_counter()
    while time.perf_counter() - started < 15:
        next(batches)
        num_batches += 1
    rate = num_batches * 64 / (time.perf_counter() - started)
    print(
        f"read_ahead {read_ahead:3}: {rate:9,.0f} windows/s, first batch {first:.2f} s", flush=True
    )


def main() -> None:
    """Runs itself with and without the delay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--milliseconds", type=int, default=50)
    parser.add_argument("--read_ahead", type=int, help="only this one, in this process")
    arguments = parser.parse_args()
    if arguments.read_ahead:
        count(arguments.corpus, arguments.read_ahead)
        return
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/slow.so"
        build = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"]
        delay = f"-DDELAY_US={arguments.milliseconds * 1000}"
        subprocess.run([*build[:3], delay, *build[3:]], input=SOURCE, text=True, check=True)
        for preload in ("", library):
            print(f"delay: {arguments.milliseconds if preload else 0} ms a read", flush=True)
            for read_ahead in (1, 16, 64):
                command = [sys.executable, __file__, arguments.corpus]
                environment = {**os.environ, "LD_PRELOAD": preload, "TF_CPP_MIN_LOG_LEVEL": "3"}
                subprocess.run(
                    [*command, "--read_ahead", str(read_ahead)], env=environment, check=True
                )


if __name__ == "__main__":
    main()
