"""Known binary formats, as other programs write them; and the table in `docs/formats.md`."""

import gzip
import io
import pickle
import py_compile
import random
import re
import sqlite3
import struct
import sys
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from corpora import text, write
from samples import COMPRESS, json_lines, parquet
from tfrecords import write_records

from pipeline import UserError
from pipeline.text.formats.binary import HEAD_BYTES, NAMES, binary_format
from pipeline.text.pieces import Reading
from pipeline.text.sources import find_sources

DOCS = Path(__file__).parents[3] / "docs/formats.md"
FIELD = Reading(text_field="text")
ROW = '{"text": "a"}\n'


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", "text")


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.add(__file__)


def _sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table x (y)")
    connection.close()


def _h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


def _arrow_stream(path: Path) -> None:
    table = pa.table({"x": [1]})
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table)


def _sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        file.writeframes(b"\0" * 100)


def _figure(kind: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        from matplotlib.figure import Figure

        matplotlib.use("Agg")
        content = io.BytesIO()
        Figure(figsize=(1, 1)).savefig(content, format=kind)
        path.write_bytes(content.getvalue())

    return make


WRITTEN: dict[str, Callable[[Path], Any]] = {
    "a ZIP archive (as .docx, .epub, .jar and .npz are)": _zip,
    "a tar archive": _tar,
    "a PDF document": _figure("pdf"),
    "a picture (PNG)": _figure("png"),
    "a picture (JPEG)": _figure("jpg"),
    "a picture (TIFF)": _figure("tif"),
    "a picture (GIF)": _figure("gif"),
    "sound or pictures (RIFF)": _sound,
    "a NumPy array": lambda path: np.save(path.open("wb"), np.arange(3)),
    "an HDF5 file (.h5)": _h5,
    "a Python pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "a Python module, compiled (.pyc)": lambda path: py_compile.compile(__file__, str(path)),
    "a SQLite database": _sqlite,
    "an Arrow file (.arrow, .feather)": lambda path: pyarrow.feather.write_feather(
        pa.table({"x": [1]}), path
    ),
    "an Arrow stream": _arrow_stream,
    "a program (ELF)": lambda path: path.write_bytes(Path(sys.executable).read_bytes()[:5000]),
    "a TFRecord file (`textreel index` reads it)": lambda path: write_records(path, [b"content"]),
    "weights of a model (.safetensors)": lambda path: path.write_bytes(
        struct.pack("<Q", 60) + b'{"__metadata__": {}}'.ljust(60) + bytes(100)
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_other_programs_write_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.txt"
    WRITTEN[name](path)
    assert binary_format(path.read_bytes()[:HEAD_BYTES]) == name
    with pytest.raises(UserError, match=rf"x.txt is {re.escape(name)}, by its first bytes, and no"):
        find_sources([path])
    (source,) = find_sources([path], reading=Reading(allow_binary=True)).sources
    assert source.source_bytes == path.stat().st_size
    packed = write(tmp_path / "y", gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match=rf"y is {re.escape(name)}, by its first bytes, and no"):
        find_sources([packed])


def test_no_text_is_taken_for_one() -> None:
    """In several encodings, and what begins with the letters of a format."""
    draw = random.Random(1)
    texts = [text(600, seed=seed) for seed in range(200)]
    texts += [f"{letters} {texts[0]}" for letters in ("PK", "BM", "MZ", "ID3", "GIF89a", "RIFF")]
    texts += [
        "%PDF is a format",
        "OggS",
        "Obj",
        "SQLite format 3 is",
        "GGUF",
        "LZIP",
        "",
        "\0" * 512,
    ]
    for each in texts:
        for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32", "latin-1"):
            data = each.encode(encoding, "replace")
            start = draw.randrange(4) if encoding == "utf-8" else 0
            assert binary_format(data[start:][:HEAD_BYTES]) == ""


def tables() -> list[list[list[str]]]:
    """The tables of the page: their rows, as cells."""
    found: list[list[list[str]]] = [[]]
    for line in DOCS.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [rows[2:] for rows in found if rows]


def test_the_page_names_every_binary_format() -> None:
    named = [cell for rows in tables() for cell in rows if cell[0] in dict(_known_rows())]
    listed = re.split(r", (?=a |an |compressed|weights|sound)", ", ".join(row[1] for row in named))
    assert sorted(listed) == sorted(NAMES)


def _known_rows() -> list[list[str]]:
    return next(rows for rows in tables() if rows[0][0] == "archives")


MADE: dict[str, Callable[[Path], Path]] = {
    "text": lambda folder: write(folder / "x.txt", "a text"),
    "JSON Lines": lambda folder: json_lines(folder / "x.jsonl", ["a"]),
    "JSON Lines in a `.json`": lambda folder: json_lines(folder / "x.json", ["a", "b"]),
    "JSON Lines elsewhere": lambda folder: json_lines(folder / "x.log", ["a", "b"]),
    "JSON array": lambda folder: write(folder / "x.json", f"[{ROW}]"),
    "JSON object": lambda folder: write(folder / "x.json", '{\n "text": "a"\n}\n'),
    "Parquet": lambda folder: parquet(folder / "x", ["a"]),
}


@pytest.mark.parametrize("compression", ["", *COMPRESS])
@pytest.mark.parametrize("row", tables()[0], ids=lambda row: row[0])
def test_the_page_says_what_becomes_of_a_format(
    tmp_path: Path, row: list[str], compression: str
) -> None:
    name, _, _, *becomes = row
    if name not in MADE:
        assert name == "TensorFlow dataset"
        with pytest.raises(UserError, match=r"holds rows"):
            find_sources(["tfds:x:train"])
        return
    if compression and name == "Parquet":
        return
    path = MADE[name](tmp_path)
    if compression:
        path = write(
            tmp_path / f"{path.name}{compression}", COMPRESS[compression](path.read_bytes())
        )
    for reading, cell in zip((Reading(), FIELD), becomes, strict=True):
        other = write(tmp_path / "other.jsonl", ROW) if reading is FIELD else tmp_path / "x.txt"
        other = other if other.exists() else write(other, "text")
        paths = [path] if path == other else [path, other]
        if cell.startswith("refused: "):
            with pytest.raises(UserError, match=cell.removeprefix("refused: ")):
                find_sources(paths, reading=reading)
            continue
        title = find_sources(paths, reading=reading).sources[0].format.title
        is_rows = cell.startswith("a row ")
        assert title == (re.sub(r" (in|elsewhere).*", "", name) if is_rows else "text")


def test_the_page_names_every_compression(tmp_path: Path) -> None:
    rows = next(rows for rows in tables() if rows[0][0] == "gzip")
    suffixes = {suffix for row in rows for suffix in re.findall(r"`(\.\w+)`", row[1])}
    from pipeline.text.formats import compressed

    assert suffixes == set(compressed._SUFFIXES)
