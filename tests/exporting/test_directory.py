"""directory: an export is written whole or not at all, and replaced on request alone."""

import os
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline import OptionError, UserError
from trainer.exporting import directory
from trainer.exporting.directory import export
from trainer.generation.request import Request
from trainer.generation.sampler import load_sampler


def test_an_output_is_replaced_on_request_alone(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "deep" / "out"
    sizes = export(runs["gru"], output)
    assert sizes == {
        str(path.relative_to(output)): path.stat().st_size
        for path in output.rglob("*")
        if path.is_file()
    }
    with pytest.raises(OptionError, match=r"`output` .* is there; .* replace it with --overwrite"):
        export(runs["lstm"], output)
    assert os.listdir(output.parent) == ["out"]

    def fail(*_: Any) -> str:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("trainer.exporting.directory.readme_text", fail)
        with pytest.raises(OSError, match="disk full"):
            export(runs["lstm"], output, overwrite=True)
    assert os.listdir(output.parent) == ["out"]
    assert "gru" in (output / "README.md").read_text()
    export(runs["lstm"], output, overwrite=True)
    assert "lstm" in (output / "README.md").read_text()
    assert os.listdir(output.parent) == ["out"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OptionError, match=r"`output` .* is there, and is no export"):
        export(runs["gru"], tmp_path / "mine", overwrite=True)
    with pytest.raises(UserError, match="has no best checkpoint"):
        export(runs["gru"], tmp_path / "best", checkpoint="best")
    assert not (tmp_path / "best").exists()


def test_a_uri_is_an_output_whose_saved_model_comes_last(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []
    put = directory.put_file

    def note(source: Path, target: str) -> None:
        copied.append(target.removeprefix(f"disk:/{tmp_path}/out/"))
        assert not (tmp_path / "out" / "saved_model.pb").exists()
        put(source, target)

    monkeypatch.setattr(directory, "put_file", note)
    for kind in ("gru", "lstm"):
        copied.clear()
        sizes = export(runs[kind], f"disk:/{tmp_path}/out/", overwrite=True)
        assert sorted(copied) == sorted(sizes)
        assert copied[-1] == "saved_model.pb"
    model = tf.saved_model.load(str(tmp_path / "out"))
    text = model.generate(["lorem"], num_tokens=9)["text"][0].numpy().decode("utf-8", "replace")
    assert text == load_sampler(runs["lstm"]).texts(Request(prompt="lorem", tokens=9), 1)[0]
