"""Owner of a run in a store: the process that began last.

A store has no locks: nobody could take away the one of a machine that was preempted. So a start
writes its name into the run, over that of an earlier one, and a process whose name is gone stops
at its next save. What it has saved is what the later one goes on from.
"""

import os
import socket
import uuid

from pipeline.errors import UserError
from pipeline.files import is_in_store, join, read_text, write_text

OWNER_FILE = "owner.txt"  # in the run's directory


class Owner:
    """This process as the one that writes into a run; on a disk, where a lock is held, always.

    Args:
        run: the directory that this process writes into, or its URI.
    """

    def __init__(self, run: str) -> None:
        self._run, self._path = run, join(run, OWNER_FILE)
        self._name = f"process {os.getpid()} on {socket.gethostname()}, start {uuid.uuid4()}\n"

    def take(self) -> None:
        """Makes this process the owner; an earlier one stops.

        Raises:
            UserError: it cannot be written.
        """
        if is_in_store(self._run):
            write_text(self._path, self._name)

    def check(self) -> None:
        """Refuses to go on where another process has begun meanwhile.

        Between this and what is then written another one may begin still: it has then looked for
        checkpoints already, and goes on from an older one.

        Raises:
            UserError: the run is another one's now, or is gone.
        """
        if not is_in_store(self._run):
            return
        try:
            name = read_text(self._path)
        except FileNotFoundError:
            name = "nobody: its files were removed"
        if name != self._name:
            raise UserError(
                f"{self._run} belongs to a later start now ({name.strip()}), which goes on from "
                "what was saved: this one ends. To train both, give one of them another --output"
            )
