"""readme: its example runs."""

from pathlib import Path
from typing import Any

import pytest
from corpora import make, text
from exports import KINDS, exported, train_run
from sentence_models import sentence_model

from trainer.exporting.directory import export
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


@pytest.mark.parametrize("kind", ["subword", "sentencepiece"])
def test_the_example_of_a_run_on_subwords_runs(tmp_path: Path, kind: str) -> None:
    options: dict[str, Any] = {"vocabulary": "bpe:280"}
    if kind == "sentencepiece":
        (tmp_path / "tokenizer.model").write_bytes(sentence_model("llama"))
        options = {"vocabulary": str(tmp_path / "tokenizer.model"), "normalize": True}
    corpus = make(tmp_path, text(6000), **options)
    assert corpus.vocabulary.kind == kind
    run = train_run(corpus, tmp_path / "run", eval_every=0)
    assert corpus.vocabulary.file_name in export(run, tmp_path / "out")
    readme = (tmp_path / "out/README.md").read_text()
    variables: dict[str, Any] = {}
    exec(readme.split("```python\n")[1].split("```")[0], variables)
    expected = generate(run, prompt="Once upon a time", tokens=200, seed=1, temperature=0.7)
    found = corpus.vocabulary.decode(variables["result"]["ids"][0].numpy())
    assert found == "".join(expected)
