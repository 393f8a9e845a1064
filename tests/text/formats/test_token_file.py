"""Files of token ids: the ids come as they are, each file into the split that its name says."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import files, flip, prepared, shard_files, text, tokens_of, write
from terminal import textreel

from pipeline import Corpus, OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.text.formats.token_file import TokenFile
from pipeline.text.pieces import Piece, Reading
from pipeline.text.sources import find_sources

HEADERS = {"<u2": (20240520, 1), "<u4": (20240801, 7)}  # of llm.c's `data_common.py`


def ids_file(path: Path, ids: Any, dtype: str = "<u2", *, header: bool = False) -> Path:
    """As nanoGPT writes it, or, with a header, llm.c."""
    first = np.zeros(256, "<i4")
    first[:3] = [*HEADERS[dtype], len(ids)]
    return write(path, first.tobytes() * header + np.array(ids, dtype).tobytes())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus of many documents, made of text by subwords."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = write(folder / "lines", "\n".join(text(200, seed=seed) for seed in range(300)))
    return prepared(folder, lines, vocabulary="bpe:300", document="line", shard_bytes=10_000)


def from_bin(corpus: Corpus, sources: list[Path], output: Path, **options: Any) -> Corpus:
    options = {"from_bin": "uint16", "vocabulary": corpus.directory, **options}
    prepare(sources, output, PrepareOptions(**options), workers=1)
    return open_corpus(output)


@pytest.mark.parametrize(
    ("names", "dtype", "header"),
    [
        (("train.bin", "val.bin"), "<u2", False),
        (("train.bin", "val.bin"), "<u4", False),
        (("fineweb_train_000001.bin", "fineweb_val_000000.bin"), "<u2", True),
        (("TinyStories_train.bin", "TinyStories_val.bin"), "<u4", True),
    ],
)
def test_ids_are_taken_as_they_are(
    corpus: Corpus, tmp_path: Path, names: tuple[str, str], dtype: str, header: bool
) -> None:
    """The same tokens, documents and bytes of text as of the corpus that was made of the text."""
    splits = dict(zip(names, corpus.splits, strict=True))
    sources = [
        ids_file(tmp_path / name, tokens_of(corpus, split), dtype, header=header)
        for name, split in splits.items()
    ]
    kind = "uint16" if header else {"<u2": "uint16", "<u4": "uint32"}[dtype]
    made = from_bin(
        corpus, sources, tmp_path / "out", from_bin=kind, shard_bytes=9_000, record_tokens=100
    )
    assert list(made.splits) == ["train", "validation"]
    assert made.vocabulary.fingerprint == corpus.vocabulary.fingerprint
    for name, split in made.splits.items():
        expected = corpus.splits[name]
        np.testing.assert_array_equal(tokens_of(made, name), tokens_of(corpus, name))
        assert split.text_bytes == expected.text_bytes
        assert split.num_documents == expected.num_documents
    assert len(made.splits["train"].shards) > 1
    assert not verify(made.directory).problems


def test_bytes_are_the_same_for_any_number_of_workers(corpus: Corpus, tmp_path: Path) -> None:
    source = ids_file(tmp_path / "train.bin", tokens_of(corpus, "train"))
    options = PrepareOptions(from_bin="uint16", vocabulary=corpus.directory, shard_bytes=5_000)
    for workers in (1, 3):
        prepare([source], tmp_path / f"{workers}", options, workers=workers)
    one, three = (files(tmp_path / f"{workers}") for workers in (1, 3))
    assert len(one) > 10
    assert one == three
    assert open_corpus(tmp_path / "1").splits.keys() == {"train"}


def test_a_damaged_shard_comes_back_and_a_window_is_found(corpus: Corpus, tmp_path: Path) -> None:
    ids = tokens_of(corpus, "train")
    source = ids_file(tmp_path / "train.bin", ids, header=True)
    made = from_bin(corpus, [source], tmp_path / "out", shard_bytes=5_000)
    before = files(tmp_path / "out")
    flip(shard_files(made.directory)[1], 100)
    assert len(repair(made.directory, [source])) == 1
    assert files(tmp_path / "out") == before
    for window in trace(made, "train", step=3, seq_len=20, batch_size=8):
        (passage,) = window.passages
        assert (passage.source, passage.unit) == ("train.bin", "token")
        assert made.vocabulary.decode(ids[passage.start : passage.stop]) == window.text


def test_pieces_are_whole_ids_however_a_store_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ids_file(tmp_path / "test.bin", range(100), "<u4", header=True)
    (found,) = find_sources([source], reading=Reading(token_bytes=2)).sources
    assert isinstance(found.format, TokenFile)
    assert (found.format.given_split, found.length) == ("test", 100)
    data = source.read_bytes()

    def odd_blocks(path: str, start: int, stop: int) -> Any:
        return (data[start:stop][i : i + 3] for i in range(0, stop - start, 3))

    monkeypatch.setattr("pipeline.text.formats.token_file.read_blocks", odd_blocks)
    for start, stop in itertools.combinations((0, 1, 37, 100), 2):
        piece = Piece(source=found, start=start, stop=stop)
        parts = list(found.format.blocks(piece))
        ids = np.frombuffer(b"".join(part.text for part in parts), "<u4")
        assert ids.tolist() == list(range(start, stop))
        assert [part.position for part in parts] == [
            np.frombuffer(part.text, "<u4")[0] for part in parts
        ]
        assert [part.final for part in parts] == [False] * (len(parts) - 1) + [True]
        assert sum(part.num_done for part in parts) == piece.source_bytes


def test_what_cannot_be_right_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    size = corpus.vocabulary.size
    foreign = ids_file(tmp_path / "train.bin", [*range(size)] * 200 + [size, 7])
    cases = {
        foreign: f"{foreign}, id {200 * size:,} (the first is 0): it is {size}, and the "
        f"`vocabulary` has the ids 0 to {size - 1}",
        ids_file(tmp_path / "data.bin", [1]): "its name must say its split",
        ids_file(tmp_path / "train.txt", [1]): "is no .bin",
        write(tmp_path / "odd/train.bin", b"123"): "has 3 bytes, and ids of 2 bytes",
        ids_file(tmp_path / "wide/train.bin", range(1, 99), "<u4"): "--from_bin uint32",
    }
    short = ids_file(tmp_path / "short/train.bin", range(99), header=True)
    cases[write(short, short.read_bytes()[:-2])] = "has 98 ids, and its header says 99"
    for index, (source, message) in enumerate(cases.items()):
        with pytest.raises(UserError) as error:
            from_bin(corpus, [source], tmp_path / f"out{index}")
        assert message in str(error.value)


def test_options_that_do_nothing_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    source = ids_file(tmp_path / "train.bin", range(99))
    for changes, message in [
        ({"vocabulary": "byte"}, "`from_bin` needs the vocabulary"),
        ({"vocabulary": "bpe:300"}, "`from_bin` needs the vocabulary"),
        ({"document": "line"}, "`document` line has no effect with `from_bin`"),
        ({"unknown": "replace"}, "`unknown` replace has no effect with `from_bin`"),
        ({"splits": {"train": 1.0}}, "`splits` train=1.0 has no effect with `from_bin`"),
    ]:
        with pytest.raises(OptionError) as error:
            from_bin(corpus, [source], tmp_path / "out", **changes)
        assert message in str(error.value)


def test_the_command_line(corpus: Corpus, tmp_path: Path) -> None:
    """A folder as nanoGPT leaves it; of the small split nobody is warned, for it was given."""
    for name in ("prepare.py", "meta.pkl"):
        write(tmp_path / "data" / name, "nothing")
    tokens = tokens_of(corpus, "train")
    ids_file(tmp_path / "data/train.bin", tokens[500:])
    ids_file(tmp_path / "data/val.bin", tokens[:500])
    words = ["data", "--from_bin", "uint16", "--vocabulary", corpus.directory]
    refused = textreel("plan", *words, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--from_bin has no plan" in refused.stderr
    command = ["prepare", *words, "-o", "OUT", "--workers", "1"]
    refused = textreel(*command, cwd=tmp_path)
    assert refused.returncode == 1
    assert "meta.pkl is no .bin" in refused.stderr
    made = textreel(*command, "--glob", "*.bin", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "2 files of token ids" in made.stdout
    assert "note:" not in made.stdout
    again = textreel(*command, "--glob", "*.bin", cwd=tmp_path)
    assert "nothing to do" in again.stdout
