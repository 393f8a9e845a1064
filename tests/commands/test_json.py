"""--json: one object each, with just the fields that docs/json.md says."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import make, prepared, text, write
from tfrecords import contents_of, write_records
from training import ROOT, tiny

from pipeline import Corpus, UserError, index_records
from trainer.cli import build_parser

DOCUMENTED = {
    title: json.loads(block)
    for title, block in re.findall(
        r"^## (.*?)\n.*?^```json\n(.*?)^```", (ROOT / "docs/json.md").read_text(), re.M | re.S
    )
}
PRICES = """
scheme = "gs"
writes_per_10000 = 1.5
reads_per_10000 = 1
month_per_gib = 1
out_per_gib = 1
"""
OPEN = {".splits", ".epochs", ".options", ".left_out", ".host_bytes", ".num_passages", ".num_found"}


def check(value: Any, example: Any, place: str = "") -> None:
    """Fails unless a value has the fields and the types of an example, or is null."""
    if value is None:
        return
    if isinstance(example, dict):
        assert isinstance(value, dict), place
        if any(place.endswith(name) for name in OPEN):  # any names, each for the same
            examples = list(example.values())
            for name, each in value.items():
                if place != ".options":
                    check(each, examples[0], f"{place}.{name}")
            return
        assert value.keys() == example.keys(), place
        for name, each in value.items():
            check(each, example[name], f"{place}.{name}")
    elif isinstance(example, list):
        assert isinstance(value, list), place
        for each in value:
            check(each, example[0], f"{place}[]")
    else:
        wanted = (int, float) if type(example) is float else type(example)
        assert isinstance(value, wanted), (place, value)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: object) -> Any:
        parsed = build_parser().parse_args([*map(str, arguments), "--json"])
        capsys.readouterr()
        with contextlib.suppress(UserError):  # of verify, which says it in the object, too
            parsed.run(parsed)
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return json.loads(out)

    return run


def test_every_command_is_documented() -> None:
    assert list(DOCUMENTED) == [
        "plan", "inspect", "inspect INDEX", "verify", "trace", "train", "evaluate", "generate",
    ]  # fmt: skip
    for name in {title.split()[0] for title in DOCUMENTED}:
        with pytest.raises(SystemExit):
            build_parser().parse_args([name, "--help"])


def test_a_corpus(tmp_path: Path, printed: Callable[..., Any]) -> None:
    source = write(tmp_path / "in/x.txt", text(20_000))
    write(tmp_path / "in/empty.txt", "")
    planned = printed("plan", tmp_path / "in", "--seq_len", 20, "--batch_size", 8)
    check(planned, DOCUMENTED["plan"])
    assert planned["num_sources"] == 1
    assert planned["left_out"] == {"without a byte": [str(tmp_path / "in/empty.txt")]}
    assert planned["costs"] is None
    prices = write(tmp_path / "prices.toml", PRICES)
    priced = printed("plan", tmp_path / "in", "--seq_len", 20, "--price", prices)
    check(priced, DOCUMENTED["plan"])
    assert priced["costs"]["epochs"].keys() == priced["splits"].keys()
    corpus = make(tmp_path, source.read_bytes(), shard_bytes=5000)
    assert {name: split["num_tokens"] for name, split in planned["splits"].items()} == {
        name: split.num_tokens for name, split in corpus.splits.items()
    }
    shown = printed("inspect", corpus.directory, "--shuffle", "--seq_len", 9, "--batch_size", 8)
    check(shown, DOCUMENTED["inspect"])
    assert shown["fingerprint"] == corpus.fingerprint
    assert shown["shuffle"]["num_windows"] > 0
    rows = printed("trace", corpus.directory, "--step", 3, "--batch_size", 8, "--seq_len", 9)
    check(rows, DOCUMENTED["trace"])
    assert [row["row"] for row in rows["rows"]] == list(range(8))
    whole = printed("verify", corpus.directory, "--near_duplicates", "--workers", 1)
    check(whole, DOCUMENTED["verify"])
    assert (whole["is_whole"], whole["problems"]) == (True, [])
    shard = corpus.splits["train"].shards[0].file
    Path(corpus.directory, shard).unlink()
    damaged = printed("verify", corpus.directory, "--workers", 1)
    check(damaged, DOCUMENTED["verify"])
    assert (damaged["is_whole"], damaged["bad_shards"]) == (False, [shard])


def test_copies_are_objects(tmp_path: Path, printed: Callable[..., Any]) -> None:
    same = text(4000)
    lines = "".join(f"{same[:3000]} {number}\n" for number in range(60))
    write(tmp_path / "in/x.txt", lines)
    corpus = prepared(tmp_path, str(tmp_path / "in"), document="line", splits={"a": 0.5, "b": 0.5})
    found = printed("verify", corpus.directory, "--near_duplicates", "--workers", 1)
    check(found, DOCUMENTED["verify"])
    assert found["near_duplicates"]["most_similar"]


def test_an_index(tmp_path: Path, printed: Callable[..., Any]) -> None:
    write_records(tmp_path / "x", contents_of(200))
    index_records([tmp_path / "x"], tmp_path / "index", workers=1)
    shown = printed("inspect", tmp_path / "index")
    check(shown, DOCUMENTED["inspect INDEX"])
    assert (shown["num_records"], shown["files"][0]["path"]) == (200, str(tmp_path / "x"))
    rows = printed("trace", tmp_path / "index", "--step", 0, "--batch_size", 4)["rows"]
    assert [list(row) for row in rows] == 4 * [
        ["row", "position", "epoch", "record", "file", "number", "offset"]
    ]


def test_a_run(char_corpus: Corpus, tmp_path: Path, printed: Callable[..., Any]) -> None:
    file = tmp_path / "options.toml"
    file.write_text(tiny(char_corpus.directory, tmp_path / "run", steps=2, eval_every=2).to_toml())
    trained = printed("train", "--config", file)
    check(trained, DOCUMENTED["train"])
    assert (trained["step"], trained["start_step"]) == (2, 0)
    again = printed("train", "--config", file)
    assert (again["start_step"], again["loss"], again["evaluation"]) == (
        2, None, trained["evaluation"],
    )  # fmt: skip
    measured = printed("evaluate", tmp_path / "run", "--stateful", "--dynamic")
    check(measured, DOCUMENTED["evaluate"])
    assert measured["bits_per_byte"] == trained["evaluation"]["bits_per_byte"]
    asked = ["--prompt", "lorem", "--tokens", 4, "--samples", 2, "--stop", "never this"]
    made = printed("generate", tmp_path / "run", *asked)
    check(made, DOCUMENTED["generate"])
    assert len(made["texts"]) == 2
