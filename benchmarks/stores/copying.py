"""The limit: the shards of a corpus, copied to this machine by the store's library alone.

    python copying.py CORPUS FOLDER

Prints the seconds.
"""

import sys
import time

import fsspec


def main() -> None:
    """Copies, with as many requests at once as the library makes by itself."""
    uri, folder = sys.argv[1:]
    scheme, _, path = uri.partition("://")
    started = time.perf_counter()
    system = fsspec.filesystem(scheme)
    system.get(system.glob(f"{path}/*.tfrecord-*"), folder + "/")
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
