"""`--array_record`: the same records for `tfds.data_source`, the same bytes always."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
from corpora import files, text, write

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.verify import verify
from pipeline.layout.array_record import array_record_path, write_array_record
from pipeline.layout.records import read_records
from pipeline.preparing.engines import beam

OPTIONS = PrepareOptions(vocabulary="char", shard_bytes=3000, record_tokens=64)


def make_sources(folder):
    for index in range(20):
        write(folder / f"{index}.txt", text(50 + 137 * index, seed=index))
    return folder


def array_records(directory):
    return {name: data for name, data in files(directory).items() if ".array_record-" in name}


def test_bytes_are_the_same_for_any_number_of_workers(tmp_path):
    sources = make_sources(tmp_path / "in")
    for workers in (1, 2, 5):
        prepare([sources], tmp_path / f"{workers}", OPTIONS, workers=workers, array_record=True)
    one, two, five = (files(tmp_path / f"{workers}") for workers in (1, 2, 5))
    assert one == two == five
    assert len(array_records(tmp_path / "1")) == sum(".tfrecord-" in name for name in one) > 5


def test_bytes_are_the_same_however_often_they_are_written(tmp_path):
    """The writer has threads; many large records give them occasion to differ."""
    rng = np.random.default_rng(0)
    source = write(tmp_path / "text", rng.integers(0, 100, 20_000_000, np.uint8).tobytes())
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=10**9)
    prepare([source], tmp_path / "out", options, array_record=True)
    ((name, data),) = array_records(tmp_path / "out").items()
    shard = next((tmp_path / "out").glob("*.tfrecord-*"))
    for _ in range(5):
        write_array_record(str(shard), lambda num_bytes: None)
        assert (tmp_path / "out" / name).read_bytes() == data


def test_the_engine_does_not_matter(tmp_path):
    sources = make_sources(tmp_path / "in")
    engine = functools.partial(
        beam.run, options=["--runner=DirectRunner", "--prism_location=/none"], folder=tmp_path
    )
    prepare([sources], tmp_path / "local", OPTIONS, array_record=True)
    prepare([sources], tmp_path / "beam", OPTIONS, array_record=True, engine=engine)
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_everything_else_is_as_without(tmp_path):
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "with", OPTIONS, array_record=True)
    prepare([sources], tmp_path / "without", OPTIONS)
    both, plain = files(tmp_path / "with"), files(tmp_path / "without")
    differing = {name for name in both if both[name] != plain.get(name)}
    assert differing == {"dataset_info.json", *array_records(tmp_path / "with")}
    corpora = (open_corpus(tmp_path / name) for name in ("with", "without"))
    assert len({corpus.manifest.fingerprint for corpus in corpora}) == 1
    prepare([sources], tmp_path / "with", OPTIONS, overwrite=True)
    assert files(tmp_path / "with") == plain


def test_tfds_reads_every_record_in_any_order_without_tensorflow(tmp_path):
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "out", OPTIONS, array_record=True)
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
    subprocess.run([sys.executable, "-c", program], check=True)
    corpus = open_corpus(tmp_path / "out")
    for split in corpus.splits:
        tokens = np.load(tmp_path / f"{split}.npy")
        assert tokens.dtype == corpus.vocabulary.dtype
        np.testing.assert_array_equal(tokens, _tokens(corpus, split))


def _tokens(corpus, split):
    """The tokens of a split, from its TFRecord files, read by TensorFlow."""
    import tensorflow as tf

    feature = {"tokens": tf.io.FixedLenFeature([], tf.string)}
    paths = [f"{corpus.directory}/{shard.file}" for shard in corpus.splits[split].shards]
    data = b"".join(
        tf.io.parse_single_example(record, feature)["tokens"].numpy()
        for record in tf.data.TFRecordDataset(paths)
    )
    return np.frombuffer(data, corpus.vocabulary.dtype)


def test_tfds_still_reads_the_tfrecords(tmp_path):
    import tensorflow_datasets as tfds

    prepare([make_sources(tmp_path / "in")], tmp_path / "out", OPTIONS, array_record=True)
    builder = tfds.builder_from_directory(tmp_path / "out")
    dataset = builder.as_dataset(
        split="train", read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    tokens = np.concatenate([record["tokens"] for record in dataset.as_numpy_iterator()])
    np.testing.assert_array_equal(tokens, _tokens(open_corpus(tmp_path / "out"), "train"))


@pytest.mark.parametrize("damage", ["missing", "bit", "end", "other"])
def test_verify_and_repair(tmp_path, damage):
    sources = make_sources(tmp_path / "in")
    prepare([sources], tmp_path / "out", OPTIONS, array_record=True)
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


def test_a_damaged_shard_is_named(tmp_path):
    prepare([make_sources(tmp_path / "in")], tmp_path / "out", OPTIONS)
    shard = next((tmp_path / "out").glob("*.tfrecord-*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{shard.name}: record .* ends inside it"):
        write_array_record(str(shard), lambda num_bytes: None)
    assert not os.path.exists(array_record_path(str(shard)))


def test_without_the_package_it_says_what_to_install(tmp_path):
    write(tmp_path / "TEXT", "text")
    program = (
        "import sys; sys.modules['array_record'] = None; sys.argv[0] = 'textreel'\n"
        "from pipeline import cli; cli.main_with(cli.build_parser)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "prepare", str(tmp_path / "TEXT"), "--array_record",
         "--output", str(tmp_path / "OUT")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert 'pip install "textreel[array_record]"' in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "OUT").exists()
