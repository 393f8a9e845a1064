"""Requests: how many of them the libraries of stores make for what `store` asks of them.

They are what s3fs, gcsfs and adlfs ask where nothing fails; tests hold them to counts at a server.
"""

import dataclasses

from pipeline.errors import OptionError
from pipeline.files.azure import PART_BYTES
from pipeline.files.store import whole_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requests:
    """Numbers of requests, in the classes by which stores sell them, and what comes back.

    Attributes:
        writes: puts, parts of uploads, copies and listings: class A.
        reads: gets and looks, of what is not there too: class B.
        removals: of objects.
        out_bytes: of the contents of objects that leave the store.
    """

    writes: int = 0
    reads: int = 0
    removals: int = 0
    out_bytes: int = 0

    def __add__(self, other: "Requests") -> "Requests":
        return Requests(
            writes=self.writes + other.writes,
            reads=self.reads + other.reads,
            removals=self.removals + other.removals,
            out_bytes=self.out_bytes + other.out_bytes,
        )

    def __mul__(self, times: int) -> "Requests":
        return Requests(
            writes=self.writes * times,
            reads=self.reads * times,
            removals=self.removals * times,
            out_bytes=self.out_bytes * times,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """What the library of a store asks for one call.

    Attributes:
        look_in_vain: for what a path is, where there is nothing.
        read_in_vain: for the content of what is not there.
        list_in_vain: for the names in a directory that is not there.
        read: for a whole content.
        whole_bytes: what is shorter is put by one request.
        num_more: requests of an upload in parts, besides its parts.
        page: names that one request lists.
        num_more_lists: requests that find a directory, before its names are listed.
    """

    look_in_vain: Requests
    read_in_vain: Requests
    list_in_vain: Requests
    read: Requests
    whole_bytes: int
    num_more: int
    page: int = 1000
    num_more_lists: int = 0

    def list_names(self, count: int) -> Requests:
        """For the names in a directory that has so many, at least one."""
        return Requests(writes=-(-count // self.page) + self.num_more_lists)

    def put(self, num_bytes: int) -> Requests:
        """For putting a file, once (`store.put`), where nothing is."""
        if num_bytes < self.whole_bytes:
            return Requests(writes=1)
        return self.read_in_vain + Requests(writes=-(-num_bytes // PART_BYTES) + self.num_more)


_ASKING = {
    "s3": Asking(
        look_in_vain=Requests(writes=1, reads=1),
        read_in_vain=Requests(reads=1),
        list_in_vain=Requests(writes=2),
        read=Requests(reads=1),
        whole_bytes=whole_bytes("s3://"),
        num_more=2,
    ),
    "gs": Asking(
        look_in_vain=Requests(writes=1, reads=2),
        read_in_vain=Requests(reads=1),
        list_in_vain=Requests(writes=1, reads=1),
        read=Requests(reads=1),
        whole_bytes=whole_bytes("gs://"),
        num_more=1,
    ),
    "az": Asking(
        look_in_vain=Requests(writes=1, reads=1),
        read_in_vain=Requests(reads=1),
        list_in_vain=Requests(writes=2, reads=1),
        read=Requests(reads=1),
        whole_bytes=whole_bytes("az://"),
        num_more=1,
        page=5000,
        num_more_lists=1,  # what begins with its name, of which only it is listed
    ),
}
COUNTED = tuple(_ASKING)  # the schemes of the stores whose requests were counted


def asking(scheme: str) -> Asking:
    """Returns what the library of a store asks.

    Raises:
        OptionError: the requests of such stores were not counted.
    """
    if scheme not in _ASKING:
        raise OptionError(f"`scheme` must be one of {', '.join(COUNTED)}, got {scheme!r}")
    return _ASKING[scheme]
