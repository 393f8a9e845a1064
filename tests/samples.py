"""Sources in every format, written for the tests."""

import bz2
import dataclasses
import functools
import gzip
import json
import lzma
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd
from corpora import write

from pipeline.text.formats import JsonArray, JsonLines, Parquet, PlainText, TfdsExamples, TokenFile
from pipeline.text.pieces import Documents, Format, Reading

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": functools.partial(zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1}),
}
ROWS = ["one", "", "zwei\r\n", "三つ", "\ufeffmarked", "one"] * 40


def each_of(found: Iterable[Documents]) -> list[tuple[int, bytes]]:
    """The documents one by one, each with its position. The first bad one is raised."""
    pairs: list[tuple[int, bytes]] = []
    for some in found:
        for error in some.bad:
            raise error
        pairs += zip(some.positions, some.texts, strict=True)
    return pairs


def parquet(path: Path, texts: Sequence[str | None], *, row_groups: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({"text": texts, "n": range(len(texts))}), path, row_group_size=row_groups
    )
    return path


def json_lines(path: Path, texts: Sequence[str]) -> Path:
    return write(path, "".join(json.dumps({"text": each}) + "\n" for each in texts))


def dataset(folder: Path, texts: Sequence[str]) -> Path:
    """A dataset of TFDS with one split, `train`, in files of 50 examples."""
    import numpy as np
    import tensorflow_datasets as tfds

    directory = folder / "rows/1.0.0"
    directory.mkdir(parents=True)
    identity = tfds.core.DatasetIdentity(
        name="rows", version="1.0.0", data_dir=str(directory), module_name=""
    )
    features = tfds.features.FeaturesDict({"text": tfds.features.Text(), "n": np.int64})
    info = tfds.core.DatasetInfo(builder=identity, features=features)
    writer = tfds.core.SequentialWriter(info, 50)
    writer.initialize_splits(["train"])
    writer.add_examples({"train": [{"text": row, "n": i} for i, row in enumerate(texts)]})
    writer.close_all()
    return directory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A source of a format.

    Attributes:
        kind: its format.
        name: of the sample.
        make: a folder -> the path of the source, written there.
        documents: what it holds.
        reading: how it is to be read.
    """

    kind: type[Format]
    name: str
    make: Callable[[Path], str]
    documents: tuple[bytes, ...]
    reading: Reading


_LINES = ("a", "", "b\r", "日本 𝄞", "", "", "a longer line, then none", "z")
_TEXT_ROWS = Reading(text_field="text")


def _in_file(name: str, write_to: Callable[[Path], Any]) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        write_to(folder / name)
        return str(folder / name)

    return make


def _text(name: str, content: bytes, documents: Sequence[str], document: str) -> list[Sample]:
    """Plain text, compressed as well."""
    compressed = {"": lambda data: data, ".gz": gzip.compress}
    return [
        Sample(
            kind=PlainText,
            name=f"{name}{suffix}",
            make=_in_file(f"x.txt{suffix}", functools.partial(write, content=compress(content))),
            documents=tuple(each.encode() for each in documents),
            reading=Reading(document=document),
        )
        for suffix, compress in compressed.items()
    ]


SAMPLES = (
    *_text("file", "\n".join(_LINES).encode(), ["\n".join(_LINES)], "file"),
    *_text("line", "\n".join(_LINES).encode() + b"\n", _LINES, "line"),
    *_text("blank_line", b"\na\nb\n\n\nc\r\n\r\nd", ["a\nb\n", "c\r\n", "d"], "blank_line"),
    *_text("separator", b"a<|>\nb<|><|>c<|>", ["a", "\nb", "", "c"], "<|>"),
    Sample(
        kind=JsonLines,
        name="json_lines",
        make=_in_file("x.jsonl", functools.partial(json_lines, texts=_LINES)),
        documents=tuple(each.encode() for each in _LINES),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=JsonLines,
        name="json_lines.gz",
        make=_in_file(
            "x.ndjson.gz",
            lambda path: write(path, gzip.compress(b'{"text": "a"}\n\n{"text": "b"}\n')),
        ),
        documents=(b"a", b"b"),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=JsonLines,
        name="json_lines.json",
        make=_in_file("x.json", functools.partial(json_lines, texts=_LINES)),
        documents=tuple(each.encode() for each in _LINES),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=JsonArray,
        name="json_array",
        make=_in_file(
            "x.json",
            lambda path: write(path, json.dumps([{"text": each} for each in _LINES], indent=1)),
        ),
        documents=tuple(each.encode() for each in _LINES),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=Parquet,
        name="parquet",
        make=_in_file("x.parquet", functools.partial(parquet, texts=_LINES, row_groups=3)),
        documents=tuple(each.encode() for each in _LINES),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=TfdsExamples,
        name="tfds",
        make=lambda folder: f"tfds:{dataset(folder, _LINES)}:train",
        documents=tuple(each.encode() for each in _LINES),
        reading=_TEXT_ROWS,
    ),
    Sample(
        kind=TokenFile,
        name="token_file",
        make=_in_file("train.bin", functools.partial(write, content=bytes(range(60)))),
        documents=(bytes(range(60)),),
        reading=Reading(token_bytes=4),
    ),
)
