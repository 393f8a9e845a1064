"""Parquet: one row a document, one column the text. Row groups are streamed by pyarrow.

Told by its name, or by its first and last bytes.
"""

import bisect
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

from pipeline.errors import UserError
from pipeline.files import open_file
from pipeline.text.bad_rows import RowError
from pipeline.text.formats.rows import RowFormat, documents_of_rows, row_options
from pipeline.text.pieces import Candidate, Documents, Piece, Reading, Source

_SUFFIX, _MAGIC = ".parquet", b"PAR1"
_BATCH_ROWS = 1024
_BATCH_BYTES = 16 * 2**20
_BUFFER_BYTES = 2**20  # of a column being read; without it a row group is read as a whole


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parquet(RowFormat):
    """Rows in a Parquet file; pieces are whole row groups.

    Attributes:
        row_groups: the row that follows each row group: see `find_row_groups`.
    """

    row_groups: tuple[int, ...]

    title = "Parquet"

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`."""
        path = candidate.path
        if not candidate.stem.endswith(_SUFFIX) and not _is_told(candidate):
            return None
        if candidate.compression:
            raise UserError(f"{path}: decompress it; Parquet files are compressed inside")
        options = row_options(path, reading)
        row_groups = find_row_groups(path, options["text_field"])
        written = cls(row_groups=row_groups, **options)
        return candidate.source(written, num_rows=row_groups[-1] if row_groups else 0)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: after the row group."""
        return self.row_groups[bisect.bisect_left(self.row_groups, offset)]

    def documents(self, piece: Piece) -> Iterator[Documents]:
        """See `Format.documents`."""
        path = piece.source.path
        rows = read_rows(path, self.text_field, self.row_groups, piece.start, piece.stop)
        return documents_of_rows(piece, rows, self)


def find_row_groups(path: str, text_field: str) -> tuple[int, ...]:
    """Returns the row that follows each row group: `(10, 20, 25)` for 10, 10 and 5 rows.

    Raises:
        UserError: not a Parquet file, no such column, or one that is no text; or a package
            is missing.
    """
    with open_file(path) as file, _errors_name(path):
        parquet = _open(file, path)
        kind = _type_of(parquet.schema_arrow, path, text_field)
        if not _is_text(kind):
            raise UserError(f"{path}: the field {text_field!r} is not a text but {kind}")
        metadata = parquet.metadata
        sizes = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return tuple(itertools.accumulate(sizes))


def read_rows(
    path: str, text_field: str, row_groups: tuple[int, ...], start: int, stop: int
) -> Iterator[Documents]:
    """Yields the texts of the rows `start … stop - 1`, with their numbers; bad are null ones.

    Args:
        path: the file.
        text_field: the column; with dots, where no column is called so: a field of a struct.
        row_groups: what `find_row_groups` returned.
        start: the first row of a row group.
        stop: the last row of a row group, plus 1.

    Raises:
        UserError: the file is damaged.
    """
    begins = (0, *row_groups[:-1])
    chosen = [
        i for i, (b, e) in enumerate(zip(begins, row_groups, strict=True)) if start <= b < e <= stop
    ]
    with open_file(path) as file, _errors_name(path):
        parquet = _open(file, path)
        chosen = [index for index in chosen if index < parquet.metadata.num_row_groups]
        batches = parquet.iter_batches(
            _batch_rows(parquet, chosen), row_groups=chosen, columns=[text_field], use_threads=False
        )
        row = start
        for batch in batches:
            texts = _texts(_column(batch, text_field))
            documents = Documents(texts, range(row, row + len(texts)))
            yield _without_null(documents, text_field) if None in texts else documents
            row += len(texts)
    if row != stop:
        raise UserError(
            f"{path} has {row} rows, but had {stop} when the work was planned; it changed "
            "meanwhile: run the same command again"
        )


def _without_null(documents: Documents, text_field: str) -> Documents:
    bad = [
        RowError(position, f"the field {text_field!r} is null")
        for text, position in zip(documents.texts, documents.positions, strict=True)
        if text is None
    ]
    good = documents.where([text is not None for text in documents.texts])
    return good._replace(bad=bad)


def _is_told(candidate: Candidate) -> bool:
    if not candidate.head.startswith(_MAGIC) or candidate.compression:
        return False
    with open_file(candidate.path) as file:
        file.seek(max(0, candidate.source_bytes - len(_MAGIC)))
        return candidate.source_bytes > 2 * len(_MAGIC) and file.read(len(_MAGIC)) == _MAGIC


def _type_of(schema: Any, path: str, text_field: str) -> Any:
    """The type of a column, or of the field of a struct that dots lead to.

    Raises:
        UserError: there is none, or more than one of this name.
    """
    names = [text_field] if text_field in schema.names else text_field.split(".")
    fields: Any = schema
    for depth, name in enumerate(names):
        found = [fields.field(index) for index in range(_num_fields(fields))]
        found = [field for field in found if field.name == name]
        if len(found) > 1:
            raise UserError(
                f"{path} has {len(found)} fields {'.'.join(names[: depth + 1])!r}: which one is "
                "meant? Write the file with other names, or leave it out with `--glob`"
            )
        if not found:
            raise UserError(
                f"{path} has no field {text_field!r}; the fields are: "
                f"{', '.join(map(repr, schema.names))}; choose one with `--text_field`"
            )
        fields = found[0].type
    return fields


def _column(batch: Any, text_field: str) -> Any:
    """The column of a batch that `_type_of` tells the type of."""
    import pyarrow.compute

    index = batch.schema.get_field_index(text_field)
    if index >= 0:  # of a struct and a column with one path, both are read
        return batch.column(index)
    name, _, inner = text_field.partition(".")
    column = batch.column(batch.schema.get_field_index(name))
    return pyarrow.compute.struct_field(column, inner.split("."))


def _num_fields(fields: Any) -> int:
    import pyarrow as pa

    if isinstance(fields, pa.Schema):
        return len(fields)
    return int(fields.num_fields) if pa.types.is_struct(fields) else 0


def _batch_rows(parquet: Any, chosen: list[int]) -> int:
    """How many rows to hold at once: few where they are large."""
    groups = [parquet.metadata.row_group(index) for index in chosen]
    row_bytes = [group.total_byte_size // max(1, group.num_rows) for group in groups]
    return min(_BATCH_ROWS, max(1, _BATCH_BYTES // max([1, *row_bytes])))


def _texts(column: Any) -> list[Any]:
    """The texts of a column, bytes or `None`; one that stands in many rows is held once."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        # Five times as fast as `to_pylist`.
        return list(column.cast(pa.large_binary()).to_numpy(zero_copy_only=False))
    values = column.dictionary.cast(pa.large_binary()).to_pylist()
    return [None if index is None else values[index] for index in column.indices.to_pylist()]


def _open(file: Any, path: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"{path}: reading .parquet needs a package: pip install 'textreel[formats]'"
        ) from error
    return pyarrow.parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


class _errors_name:  # noqa: N801, a context manager
    """Adds the path to pyarrow's errors."""

    def __init__(self, path: str):
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if error is None or not type(error).__module__.startswith("pyarrow"):
            return
        raise UserError(f"{self._path} is no Parquet file, or is damaged: {error}") from error
