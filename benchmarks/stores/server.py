"""A storage server of the tests, behind their proxy, in a process of its own.

    python server.py google|s3

Answers each line of standard input by one of JSON: `bucket` makes one; `delay SECONDS` holds every
request back by so much from now on, and counts anew; `count` says what came since then.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests"))
import storage
from storage_proxy import Fault


def main() -> None:
    """Serves until standard input ends."""
    with (
        tempfile.TemporaryDirectory() as folder,
        {"google": storage.google, "s3": storage.s3}[sys.argv[1]](Path(folder)) as store,
    ):
        print(json.dumps(store.environment), flush=True)
        for line in sys.stdin:
            word, *numbers = line.split()
            answer: object = None
            if word == "bucket":
                answer = store.new_bucket()
            elif word == "delay":
                store.proxy.reset()
                fault = Fault(delay=float(numbers[0]))
                store.proxy.fault = lambda _, fault=fault: fault
            elif word == "count":
                proxy = store.proxy
                answer = {
                    "requests": proxy.count(),
                    "up": proxy.received / 1e6,
                    "down": proxy.sent / 1e6,
                }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
