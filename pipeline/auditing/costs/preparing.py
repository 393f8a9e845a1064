"""The requests of a prepare into a store: exact where nothing fails and nothing was there."""

from collections.abc import Sequence

from pipeline.files import Requests, asking


def requests_of_prepare(scheme: str, shard_bytes: Sequence[int]) -> Requests:
    """Counts what `prepare` asks of the store that it writes to, its sources not included.

    Args:
        scheme: of the store, `s3`, `gs` or `az`.
        shard_bytes: of each shard, of all splits.

    Raises:
        OptionError: the requests of such a store were not counted.
    """
    asks, one = asking(scheme), Requests(writes=1)
    count = len(shard_bytes)
    # Whether something is there: the output (5 listings), a manifest (3 looks), a plan (2 reads).
    total = asks.list_in_vain * 5 + asks.look_in_vain * 3 + asks.read_in_vain * 2
    total += one * 5  # plan, vocabulary, what TFDS reads (2), manifest
    for num_bytes in shard_bytes:  # is it in the journal? the shard, its entry
        total += asks.read_in_vain + asks.put(num_bytes) + one
    # At the end the plan is read again, and the corpus and its journal are listed.
    total += asks.read + asks.list_names(count + 2) * 2 + asks.list_names(count)
    # Before and after a journal goes; there was no manifest, but it is removed to be sure.
    return total + Requests(removals=count + 3)
