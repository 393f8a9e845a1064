"""Bad rows: rows that have no text, which `--on_bad_row` refuses or skips.

| | JSON Lines | JSON array | Parquet, tfds: |
|---|---|---|---|
| not valid JSON, not UTF-8 | a line | the file: an error in any case | |
| not UTF-8, where the vocabulary takes only text | | | a row |
| not an object, no such field, not a text | a line | an element | |
| null | as not a text | as not a text | a row |
| longer than `--max_row_bytes` | a line | an error in any case | a row |
"""

import dataclasses
from typing import NamedTuple

ON_BAD_ROW = ERROR, SKIP = "error", "skip"
_MOST_FIRST = 5  # places that are kept


class RowError(ValueError):
    """What is wrong with a row.

    Attributes:
        position: of the row: its number, else the byte where it starts.
        reason: what is wrong, in the same words for all rows of the kind.
        detail: how the message goes on after it.
    """

    def __init__(self, position: int, reason: str, detail: str = ""):
        super().__init__(reason + detail)
        self.position = position
        self.reason = reason


class BadRow(NamedTuple):
    """A row that was skipped.

    Attributes:
        position: its number, else the byte of the source's text where it starts.
        unit: what that counts: `row` or `byte`.
        reason: what is wrong with it.
    """

    position: int
    unit: str
    reason: str


@dataclasses.dataclass(slots=True)
class Skipped:
    """The rows of a piece that were skipped.

    Attributes:
        num_rows: how many.
        first: the first few of them.
    """

    num_rows: int = 0
    first: tuple[BadRow, ...] = ()

    def add(self, error: RowError, unit: str) -> None:
        """Counts a row."""
        self.num_rows += 1
        if len(self.first) < _MOST_FIRST:
            self.first += (BadRow(error.position, unit, error.reason),)

    def join(self, other: "Skipped") -> None:
        """Counts the rows of a piece of the same source that comes later."""
        self.num_rows += other.num_rows
        self.first = (self.first + other.first)[:_MOST_FIRST]
