"""Balance: a split that is nearly all of one source is named, and no other."""

from pathlib import Path

import pytest
from corpora import prepared, text, write
from samples import json_lines
from terminal import textreel

from pipeline import PrepareOptions
from pipeline.auditing.balance import (
    OneSided,
    amounts_of_manifest,
    amounts_of_plan,
    one_sided_splits,
)
from pipeline.preparing.plan import make_plan
from pipeline.text.sources import find_sources

SPLITS = {"train": 0.9, "test": 0.1}


def test_a_small_split_of_one_source_is_one_sided() -> None:
    amounts = [("train", "a", 60.0), ("train", "b", 30.0), ("test", "a", 9.5), ("test", "b", 0.5)]
    assert one_sided_splits(iter(amounts)) == []  # 70% of the text are no surprise
    amounts = [("train", "a", 30.0), ("train", "b", 60.0), ("test", "a", 9.5), ("test", "b", 0.5)]
    assert one_sided_splits(iter(amounts)) == [OneSided("test", "a", 0.95, 0.395)]
    amounts[-1] = ("test", "b", 9.5)
    assert one_sided_splits(iter(amounts)) == []
    assert one_sided_splits(iter([("train", "a", 9.0), ("test", "a", 1.0)])) == []


def test_a_plan_says_what_its_corpus_will_say(tmp_path: Path) -> None:
    """Documents, and rows, of which a plan knows the fraction alone."""
    folder = tmp_path / "in"
    for index in range(60):
        write(folder / f"{index}.txt", text(200, seed=index))
    write(folder / "large.txt", text(30_000))
    for name in ("documents", "rows"):
        if name == "rows":
            json_lines(folder / "x.jsonl", [text(50, seed=seed) for seed in range(100)])
        chosen = {"splits": SPLITS, "text_field": "text" if name == "rows" else None}
        options = PrepareOptions(**chosen)
        plan = make_plan(find_sources([folder], reading=options.reading).sources, options)
        manifest = prepared(tmp_path / name, folder, **chosen).manifest
        sums: list[dict[tuple[str, str], float]] = []
        for amounts in (amounts_of_plan(plan, SPLITS), amounts_of_manifest(manifest)):
            sums.append({})
            for split, source, num_bytes in amounts:
                sums[-1][split, source] = sums[-1].get((split, source), 0.0) + num_bytes
        assert sums[0] == pytest.approx(sums[1])
        assert sum(sums[0].values()) == pytest.approx(plan.source_bytes)


@pytest.mark.parametrize("command", ["plan", "prepare"])
def test_the_commands_say_so(tmp_path: Path, command: str) -> None:
    """A document of 1,000 bytes that its hash sends to validation, beside 47 for training."""
    for index in range(48):
        write(tmp_path / f"in/{index}.txt", f"{index}\n" * 300)
    output = ["--output", "OUT"] if command == "prepare" else []
    arguments = [command, "in", "--splits", "train=0.97,validation=0.03", *output]
    result = textreel(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "note: 100% of validation is of one source, " in result.stdout
    even = textreel(*arguments[:2], "--splits", "train=0.8,validation=0.2", *output, cwd=tmp_path)
    assert "note:" not in even.stdout
