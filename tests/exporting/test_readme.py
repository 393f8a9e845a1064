"""readme: its example runs."""

from pathlib import Path
from typing import Any

from exports import KINDS, exported

from trainer.generation.sampler import generate


def test_a_directory_says_what_is_in_it_and_its_example_runs(runs: dict[str, Path]) -> None:
    directory = exported(runs, "lstm")
    names = sorted(path.name for path in directory.iterdir())
    assert names == [
        "README.md",
        "assets",
        "fingerprint.pb",
        "model.keras",
        "saved_model.pb",
        "variables",
        "vocabulary.json",
    ]
    assert sorted(path.name for path in directory.parent.iterdir()) == sorted(KINDS)
    readme = (directory / "README.md").read_text()
    example = readme.split("```python\n")[1].split("```")[0]
    variables: dict[str, Any] = {}
    exec(example, variables)
    expected = generate(runs["lstm"], prompt="Once upon a time", tokens=200, seed=1)
    found = variables["result"]["text"][0].numpy().decode("utf-8", "replace")
    assert found == "".join(expected)
