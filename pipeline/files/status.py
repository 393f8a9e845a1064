"""What a path is: a file or a directory, its size, and what changes when it does."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileStatus:
    """What a path is.

    Attributes:
        is_directory: a directory, else a file to read.
        num_bytes: a file's size.
        modified: when it last changed, in nanoseconds; of a file in a store, a number that is
            another when its content is.
        identity: equal for two paths to one file, links included.
    """

    is_directory: bool
    num_bytes: int
    modified: int
    identity: object
