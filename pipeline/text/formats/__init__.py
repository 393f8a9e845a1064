"""How sources are written: one module a format. None knows of vocabularies or of the plan."""


class RowError(ValueError):
    """A row that has no text.

    Attributes:
        position: of the row: its number in Parquet and TFDS, else the byte where it starts.
    """

    def __init__(self, position: int, message: str):
        super().__init__(message)
        self.position = position
