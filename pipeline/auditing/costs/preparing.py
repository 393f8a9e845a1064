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
    # Whether something is there: the output; before the plan is put, another plan or a manifest.
    total = asks.list_in_vain + asks.read_in_vain + asks.look_in_vain
    total += one * 5  # plan, vocabulary, what TFDS reads (2), manifest
    for num_bytes in shard_bytes:  # is it in the journal? the shard, its entry
        total += asks.read_in_vain + asks.put(num_bytes) + one
    # At the end the plan is read again, and the corpus and its journal are listed.
    total += asks.read + asks.list_names(count + 2) * 2 + asks.list_names(count)
    return total + Requests(removals=count + 1)  # the journal: its plan, and its entries
