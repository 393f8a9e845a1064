"""`--array_record`: the same records for `as_data_source` of TFDS, the same bytes always."""

import functools
from pathlib import Path

import numpy as np
import pytest
from corpora import files, flip, shard_files, text, tokens_by_tensorflow, write
from terminal import run_program, textreel_without

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.verify import verify
from pipeline.layout.array_record import (
    find_problem,
    remove_array_records,
    write_array_record,
)
from pipeline.layout.names import array_record_path
from pipeline.layout.records import read_records
from pipeline.preparing.engines import beam

OPTIONS = PrepareOptions(vocabulary="char", shard_bytes=3000, record_tokens=64)


def make_sources(folder: Path) -> Path:
    for index in range(20):
        write(folder / f"{index}.txt", text(50 + 137 * index, seed=index))
    return folder


def array_records(directory: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(directory).items() if ".array_record-" in name}


def test_bytes_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in")
    for workers in (1, 2, 5):
        prepare([sources], tmp_path / f"{workers}", OPTIONS, workers=workers, array_record=True)
    one, two, five = (files(tmp_path / f"{workers}") for workers in (1, 2, 5))
    assert one == two == five
    assert len(array_records(tmp_path / "1")) == sum(".tfrecord-" in name for name in one) > 5


def test_bytes_are_the_same_however_often_they_are_written(tmp_path: Path) -> None:
    """The writer has threads; many large records give them occasion to differ."""
    rng = np.random.default_rng(0)
    source = write(tmp_path / "text", rng.integers(0, 100, 20_000_000, np.uint8).tobytes())
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=10**9)
    prepare([source], tmp_path / "out", options, workers=1, array_record=True)
    ((name, data),) = array_records(tmp_path / "out").items()
    shard = next((tmp_path / "out").glob("*.tfrecord-*"))
    for _ in range(5):
        write_array_record(str(shard), str(tmp_path / "temporary"), lambda num_bytes: None)
        assert (tmp_path / "out" / name).read_bytes() == data


def test_the_engine_does_not_matter(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in")
    engine = functools.partial(
        beam.run, options=["--runner=DirectRunner", "--prism_location=/none"], folder=tmp_path
    )
    prepare([sources], tmp_path / "local", OPTIONS, workers=1, array_record=True)
    prepare([sources], tmp_path / "beam", OPTIONS, array_record=True, engine=engine)
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_everything_else_is_as_without(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "with", OPTIONS, workers=1, array_record=True)
    prepare([sources], tmp_path / "without", OPTIONS, workers=1)
    both, plain = files(tmp_path / "with"), files(tmp_path / "without")
    differing = {name for name in both if both[name] != plain.get(name)}
    beside = {"dataset_info.json", "manifest.json"}  # which vouches for the former
    assert differing == {*beside, *array_records(tmp_path / "with")}
    corpora = (open_corpus(tmp_path / name) for name in ("with", "without"))
    assert len({corpus.manifest.fingerprint for corpus in corpora}) == 1
    prepare([sources], tmp_path / "with", OPTIONS, workers=1, overwrite=True)
    assert files(tmp_path / "with") == plain


def test_tfds_reads_every_record_in_any_order_without_tensorflow(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "out", OPTIONS, workers=1, array_record=True)
    program = f"""
import sys
import numpy as np, tensorflow_datasets as tfds
builder = tfds.builder_from_directory({str(tmp_path / "out")!r})
for split in ("train", "validation"):
    source = builder.as_data_source(split=split)
    backwards = [source[index]["tokens"] for index in range(len(source) - 1, -1, -1)]
    np.save({str(tmp_path)!r} + "/" + split, np.concatenate(backwards[::-1]))
assert "tensorflow" not in sys.modules
"""
    run_program(program)
    corpus = open_corpus(tmp_path / "out")
    for split in corpus.splits:
        tokens = np.load(tmp_path / f"{split}.npy")
        assert tokens.dtype == corpus.vocabulary.dtype
        np.testing.assert_array_equal(tokens, tokens_by_tensorflow(corpus, split))


def test_tfds_still_reads_the_tfrecords(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    prepare(
        [make_sources(tmp_path / "in")], tmp_path / "out", OPTIONS, workers=1, array_record=True
    )
    builder = tfds.builder_from_directory(tmp_path / "out")
    dataset = builder.as_dataset(
        split="train", read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    tokens = np.concatenate([record["tokens"] for record in dataset.as_numpy_iterator()])
    corpus = open_corpus(tmp_path / "out")
    np.testing.assert_array_equal(tokens, tokens_by_tensorflow(corpus, "train"))


@pytest.mark.parametrize("damage", ["missing", "bit", "end", "other"])
def test_verify_and_repair(tmp_path: Path, damage: str) -> None:
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "out", OPTIONS, workers=1, array_record=True)
    before = files(tmp_path / "out")
    assert verify(tmp_path / "out").problems == ()
    first, second = sorted((tmp_path / "out").glob("*.array_record-*"))[:2]
    data = bytearray(first.read_bytes())
    tfrecord = first.with_name(first.name.replace("array_record", "tfrecord"))
    data[data.index(next(read_records(str(tfrecord)))) + 5] ^= 1
    if damage == "missing":
        first.unlink()
    else:
        damaged = {"bit": data, "end": data[:-100], "other": second.read_bytes()}[damage]
        first.write_bytes(damaged)
    (problem,) = verify(tmp_path / "out").problems
    assert f"{first.name} beside it" in problem
    repair(tmp_path / "out", [sources])
    assert files(tmp_path / "out") == before


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    prepare([make_sources(tmp_path / "in")], tmp_path / "out", OPTIONS, workers=1)
    shard = shard_files(tmp_path / "out")[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    temporary = tmp_path / "temporary"
    with pytest.raises(UserError, match=f"{shard.name}: record .* ends inside it.*textreel repair"):
        write_array_record(str(shard), str(temporary), lambda num_bytes: None)
    assert not Path(array_record_path(str(shard))).exists()
    assert not temporary.exists()


def test_what_is_wrong_with_a_file_is_found(tmp_path: Path) -> None:
    prepare([make_sources(tmp_path / "in")], tmp_path / "out", OPTIONS, workers=1)
    shard = str(shard_files(tmp_path / "out")[0])
    path = Path(array_record_path(shard))
    assert find_problem(shard) == f"{path.name} beside it is missing"
    done: list[int] = []
    write_array_record(shard, str(tmp_path / "temporary"), done.append)
    payloads = list(read_records(shard))
    assert done == [len(payload) for payload in payloads]
    assert find_problem(shard) is None
    flip(path, path.read_bytes().index(payloads[1]))
    assert str(find_problem(shard)).startswith(f"{path.name} beside it is damaged (")
    other = Path(array_record_path(str(shard_files(tmp_path / "out")[1])))
    write_array_record(str(shard_files(tmp_path / "out")[1]), str(tmp_path / "x"), done.append)
    other.rename(path)
    assert find_problem(shard) == f"{path.name} beside it differs in record 0"
    remove_array_records(tmp_path / "out")
    assert array_records(tmp_path / "out") == {}
    assert Path(shard).exists()


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", "text")
    result = textreel_without(
        "array_record", "prepare", tmp_path / "TEXT", "--array_record", "--output",
        tmp_path / "OUT",
    )  # fmt: skip
    assert result.returncode == 1
    assert 'pip install "textreel[array_record]"' in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "OUT").exists()
