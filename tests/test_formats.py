import bz2
import functools
import gzip
import io
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from corpora import files, text, write
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import textreel

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.estimate import estimate
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.layout.records import read_records
from pipeline.reading.geometry import Windows
from pipeline.text.formats.delimited import find_document_start, look_behind, split_documents
from pipeline.text.sources import find_sources

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": functools.partial(zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1}),
}
ROWS = ["one", "", "zwei\r\n", "三つ", "\ufeffmarked", "one"] * 40
SPLITS = {"train": 0.5, "test": 0.5}


def parquet(path, texts, *, row_groups=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({"text": texts, "n": range(len(texts))}), path, row_group_size=row_groups
    )
    return path


def json_lines(path, texts):
    return write(path, "".join(json.dumps({"text": each}) + "\n" for each in texts))


def documents(corpus, split):
    """The documents of a split, as bytes."""
    data = b""
    for shard in corpus.splits[split].shards:
        path = f"{corpus.directory}/{shard.file}"
        for payload in read_records(path):
            data += corpus.vocabulary.decode_bytes(np.frombuffer(payload, corpus.vocabulary.dtype))
    *whole, rest = data.split(b"\0")
    assert rest == b""
    return whole


def prepared(folder, source, **options):
    workers = options.pop("workers", 1)
    prepare([source], folder / "corpus", PrepareOptions(**options), workers=workers)
    return open_corpus(folder / "corpus")


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_compressed_text_is_the_same_text(tmp_path, suffix, vocabulary):
    plain = text(300_000).encode()
    path = write(tmp_path / f"x.txt{suffix}", COMPRESS[suffix](plain))
    corpus = prepared(tmp_path, path, splits={"train": 1.0}, vocabulary=vocabulary)
    assert documents(corpus, "train") == [plain]
    assert corpus.splits["train"].num_bytes == len(plain)
    assert verify(corpus.directory).problems == ()


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_file_is_named(tmp_path, suffix):
    data = COMPRESS[suffix](os.urandom(300_000))
    path = write(tmp_path / f"x.txt{suffix}", data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"x.txt{suffix} is cut off: after \d+ bytes of text"):
        prepared(tmp_path, path, splits={"train": 1.0})


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_damaged_file_is_named(tmp_path, suffix):
    data = bytearray(COMPRESS[suffix](os.urandom(300_000)))
    data[100] ^= 0xFF
    data[len(data) // 2] ^= 0xFF
    path = write(tmp_path / f"x.txt{suffix}", bytes(data))
    with pytest.raises(UserError, match=rf"x.txt{suffix} is (damaged|cut off)"):
        prepared(tmp_path, path, splits={"train": 1.0})


def test_invalid_text_in_a_compressed_file_is_placed(tmp_path):
    path = write(tmp_path / "x.gz", gzip.compress(b"a" * 100_000 + b"\xff" + b"b" * 100))
    with pytest.raises(UserError, match=r"x.gz is not UTF-8 at byte 100000 of its text"):
        prepared(tmp_path, path, splits={"train": 1.0}, vocabulary="char")


@pytest.mark.parametrize("make", [json_lines, parquet])
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_rows_are_documents(tmp_path, make, vocabulary):
    suffix = {json_lines: "jsonl", parquet: "parquet"}[make]
    path = make(tmp_path / f"x.{suffix}", ROWS)
    corpus = prepared(
        tmp_path, path, splits=SPLITS, vocabulary=vocabulary, text_field="text", shard_bytes=500
    )
    train, test = documents(corpus, "train"), documents(corpus, "test")
    assert sorted(train + test) == sorted(row.encode() for row in ROWS)
    assert set(train).isdisjoint(test), "equal documents are in one split"
    assert len(corpus.splits["train"].shards) == len(corpus.splits["test"].shards) > 1
    assert corpus.splits["train"].num_documents == len(train)
    assert corpus.splits["train"].num_bytes == sum(map(len, train))
    report = verify(corpus.directory)
    assert report.problems == ()
    assert report.duplicates == {}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("document", "content", "expected"),
    [
        ("line", "a\n\nb\r\nc", ["a", "", "b\r", "c"]),
        ("blank_line", "a\nb\n\n\nc\r\n\r\nd\n", ["a\nb\n", "c\r\n", "d\n"]),
        ("<|endoftext|>", "a<|endoftext|>b\n<|endoftext|>", ["a", "b\n"]),
    ],
)
def test_documents_in_text(tmp_path, document, content, expected, compressed):
    data = gzip.compress(content.encode()) if compressed else content
    path = write(tmp_path / ("x.txt.gz" if compressed else "x.txt"), data)
    corpus = prepared(tmp_path, path, splits={"train": 1.0}, document=document)
    assert documents(corpus, "train") == [each.encode() for each in expected]


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab\n\r-", max_size=60),
    st.sampled_from(["line", "blank_line", "--", "-a-", "-\n"]),
    st.integers(1, 5),
    st.data(),
)
def test_documents_do_not_depend_on_blocks_or_cuts(content, document, block_bytes, data):
    def blocks(part):
        return (part[i : i + block_bytes] for i in range(0, len(part), block_bytes))

    encoded = content.encode()
    whole = list(split_documents([encoded], document))
    assert list(split_documents(blocks(encoded), document)) == whole
    offset = data.draw(st.integers(0, len(encoded)))
    start = max(0, offset - look_behind(document))
    cut = find_document_start(blocks(encoded[start:]), document, offset)
    cut = len(encoded) if cut is None else cut
    parts = [
        *split_documents(blocks(encoded[:cut]), document),
        *split_documents(blocks(encoded[cut:]), document, cut),
    ]
    assert parts == whole


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bytes(tmp_path, workers):
    folder = tmp_path / "in"
    json_lines(folder / "a.jsonl", ROWS)
    parquet(folder / "b.parquet", ROWS)
    write(folder / "c.txt.gz", gzip.compress(text(5000).encode()))
    write(folder / "d.txt", text(5000, seed=1))
    options = PrepareOptions(text_field="text", splits=SPLITS, shard_bytes=1000, document="line")
    prepare([folder], tmp_path / "one", options, workers=1)
    prepare([folder], tmp_path / "many", options, workers=workers)
    assert files(tmp_path / "one") == files(tmp_path / "many")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"text": "a"}\n{"text": \n', r"x.jsonl, line 2: not valid JSON"),
        ('{"text": "a"}\n\n{"body": "a"}\n', r"line 3: no field 'text'; the fields are: 'body'"),
        ('{"text": 5}\n', r"line 1: the field 'text' is not a text: 5"),
        ("[1]\n", r"line 1: not a JSON object but list"),
        ('{"text": "\\ud800"}\n', r"line 1: the field 'text' has half a surrogate pair"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', r"line 2: not UTF-8 at byte 24 of the file"),
    ],
)
def test_a_bad_line_is_named(tmp_path, lines, message):
    path = write(tmp_path / "x.jsonl", lines)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, path, splits={"train": 1.0}, text_field="text")


def test_bad_parquet_is_named(tmp_path):
    path = parquet(tmp_path / "x.parquet", ["a", None])
    with pytest.raises(UserError, match=r"row 1 \(the first is 0\): the field 'text' is null"):
        prepared(tmp_path, path, splits={"train": 1.0}, text_field="text")
    with pytest.raises(UserError, match=r"no field 'body'; the fields are: 'text', 'n'"):
        prepared(tmp_path, path, text_field="body")
    with pytest.raises(UserError, match=r"the field 'n' is not a text but int64"):
        prepared(tmp_path, path, text_field="n")
    with pytest.raises(UserError, match=r"x.parquet holds rows: name the field"):
        prepared(tmp_path, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"x.parquet is no Parquet file, or is damaged"):
        prepared(tmp_path, path, text_field="text")


def test_options_without_effect_are_refused(tmp_path):
    plain = write(tmp_path / "x.txt", "text")
    for options, name in [
        ({"text_field": "text"}, "text_field"),
        ({"document": "word"}, "document"),
    ]:
        with pytest.raises(UserError, match=f"`{name}`"):
            prepared(tmp_path, plain, splits={"train": 1.0}, **options)
    with pytest.raises(UserError, match=r"the separator '@@@' stands in none"):
        prepared(tmp_path, plain, splits={"train": 1.0}, document="@@@")
    with pytest.raises(UserError, match=r"x.zip is an archive: unpack it"):
        prepared(tmp_path, write(tmp_path / "x.zip", "PK"), splits={"train": 1.0})


def test_standard_input(tmp_path):
    content = text(5000).encode()
    arguments = ["prepare", "-", "--output", "c", "--splits", "train=1"]
    result = textreel(*arguments, cwd=tmp_path, input=content)
    assert result.returncode == 0, result.stderr
    corpus = open_corpus(tmp_path / "c")
    assert documents(corpus, "train") == [content]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == sorted(files(tmp_path / "c"))
    for wrong, message in [(gzip.compress(b"x"), b"compressed with gzip"), (b"", b"is empty")]:
        result = textreel(*arguments[:3], "d", *arguments[4:], cwd=tmp_path, input=wrong)
        assert result.returncode == 1
        assert message in result.stderr
        assert b"Traceback" not in result.stderr
        assert not (tmp_path / "d").exists()


def test_a_dataset_is_a_source(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict({"text": tfds.features.Text(), "n": np.int64})
    data_dir = tmp_path / "rows/1.0.0"
    data_dir.mkdir(parents=True)
    name = "rows"
    writer = tfds.core.SequentialWriter(
        tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity(
                name=name, version="1.0.0", data_dir=str(data_dir), module_name=""
            ),
            features=features,
        ),
        50,
    )
    writer.initialize_splits(["train"])
    writer.add_examples({"train": [{"text": row, "n": i} for i, row in enumerate(ROWS)]})
    writer.close_all()
    source = f"tfds:{data_dir}:train"
    corpus = prepared(tmp_path, source, splits=SPLITS, text_field="text", shard_bytes=2000)
    train, test = documents(corpus, "train"), documents(corpus, "test")
    assert sorted(train + test) == sorted(row.encode() for row in ROWS)
    with pytest.raises(UserError, match=r"no split 'test'; the splits are: train"):
        prepared(tmp_path / "no", f"tfds:{data_dir}:test", text_field="text")
    with pytest.raises(UserError, match=r"the field 'n' is not a text"):
        prepared(tmp_path / "no", source, text_field="n")


def test_an_interrupted_prepare_of_rows_resumes(tmp_path):
    json_lines(tmp_path / "x.jsonl", [text(2000, seed=seed) for seed in range(300)])
    arguments = ["prepare", "x.jsonl", "--text_field", "text", "--shard_bytes", "10000"]
    prepare_once = [*arguments, "--splits", "train=0.5,test=0.5", "--workers", "2", "--output"]
    assert textreel(*prepare_once, "whole", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "pipeline", *prepare_once, "killed"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("killed/.prepare/text-*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert textreel(*prepare_once, "killed", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_repair_of_rows(tmp_path):
    folder = tmp_path / "in"
    json_lines(folder / "a.jsonl", ROWS)
    write(folder / "b.txt.gz", gzip.compress(text(5000).encode()))
    write(folder / "c.txt", text(5000))
    options = PrepareOptions(text_field="text", splits=SPLITS, shard_bytes=3000)
    prepare([folder], tmp_path / "c", options, workers=1)
    before = files(tmp_path / "c")
    bad = sorted((tmp_path / "c").glob("*.tfrecord-*"))[:2]
    bad[0].write_bytes(bad[0].read_bytes()[:-1])
    bad[1].unlink()
    assert repair(tmp_path / "c", [folder]) == tuple(path.name for path in bad)
    assert files(tmp_path / "c") == before


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_trace_names_the_document(tmp_path, vocabulary):
    texts = [f"row {index} " + text(30, seed=index) for index in range(200)]
    path = parquet(tmp_path / "x.parquet", texts)
    corpus = prepared(
        tmp_path,
        path,
        splits={"train": 1.0},
        text_field="text",
        vocabulary=vocabulary,
        shard_bytes=2000,
        record_tokens=100,
    )
    for window in trace(corpus, "train", step=3, seq_len=50, batch_size=16):
        for passage, part in zip(
            window.passages, (p for p in window.text.split("\0") if p), strict=True
        ):
            row = int(passage.document.removeprefix("row "))
            assert (
                texts[row].encode()[passage.start : passage.stop].decode("utf-8", "ignore") in part
            )
            assert part.strip("\ufffd") in texts[row]


def test_trace_of_compressed_text(tmp_path):
    folder = tmp_path / "in"
    contents = {f"{index}.gz": text(900, seed=index).encode() for index in range(9)}
    for name, content in contents.items():
        write(folder / name, gzip.compress(content))
    corpus = prepared(tmp_path, folder, splits={"train": 1.0})
    for window in trace(corpus, "train", step=1, seq_len=100, batch_size=8):
        parts = [contents[p.source][p.start : p.stop] for p in window.passages]
        assert b"".join(parts).decode("utf-8", "replace") == window.text.replace("\0", "")


def test_estimate_of_rows(tmp_path):
    path = json_lines(tmp_path / "x.jsonl", [text(50, seed=seed) for seed in range(2000)])
    options = PrepareOptions(text_field="text", splits=SPLITS, vocabulary="char")
    corpus = prepared(tmp_path, path, text_field="text", splits=SPLITS, vocabulary="char")
    guess = estimate(
        find_sources([path], reading=options.reading),
        options,
        workers=1,
        windows=Windows(seq_len=10, stride=10),
    )
    for name, split in corpus.splits.items():
        assert guess.splits[name].num_tokens == pytest.approx(split.num_tokens, rel=0.1)
        assert guess.splits[name].num_documents == pytest.approx(split.num_documents, rel=0.1)
        assert guess.splits[name].num_text_bytes == pytest.approx(split.num_bytes, rel=0.1)


def test_remote_files_are_read_through_tensorflow(tmp_path):
    content = text(200_000).encode()
    write(tmp_path / "in/a b.txt", content)
    uri = f"file://{tmp_path}/in"
    corpus = prepared(tmp_path, uri, splits={"train": 1.0})
    assert documents(corpus, "train") == [content]
    assert [source.name for source in corpus.manifest.sources] == ["a b.txt"]
    with pytest.raises(UserError, match="no such file or directory: file://"):
        find_sources([uri + "/none"])


def test_links(tmp_path):
    folder = tmp_path / "in"
    write(folder / "a.txt", "text")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    with pytest.raises(UserError, match="which it lies in: a loop"):
        prepared(tmp_path, folder)
    (folder / "loop").unlink()
    (folder / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="is a symbolic link to a file that is not there"):
        prepared(tmp_path, folder)
    (folder / "gone").unlink()
    os.link(folder / "a.txt", folder / "b.txt")
    with pytest.raises(UserError, match="the same file twice"):
        prepared(tmp_path, folder)
    shutil.rmtree(folder)
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="pipe is not a regular file"):
        prepared(tmp_path, folder)


def test_a_line_longer_than_memory_should_need_is_a_document(tmp_path):
    path = write(tmp_path / "x.txt", b"a" * 5_000_000 + b"\nb\n")
    corpus = prepared(tmp_path, path, splits={"train": 1.0}, document="line")
    assert [len(each) for each in documents(corpus, "train")] == [5_000_000, 1]


def test_rows_cut_off_by_the_end_of_a_block(tmp_path):
    rows = ["x" * size for size in (65_530, 65_535, 65_536, 65_537, 10)]
    assert [each for _, each in split_documents(io.BytesIO("\n".join(rows).encode()), "line")] == [
        row.encode() for row in rows
    ]
