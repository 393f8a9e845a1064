"""export: the command writes an export, and says what is in it."""

from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus, OptionError
from trainer.cli import build_parser
from trainer.loop import train


def test_the_command_lists_the_files_and_how_to_call_them(
    char_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, output = tmp_path / "run", tmp_path / "export"
    train(tiny(char_corpus.directory, run, steps=1), quiet=True)
    flags = ["export", str(run), "--output", str(output)]
    arguments = build_parser().parse_args(flags)
    arguments.run(arguments)
    out = capsys.readouterr().out
    assert out.startswith(f"made {output}:\n")
    assert out.endswith((output / "README.md").read_text())
    listed = {line.split()[-1] for line in out.partition("\n\n")[0].splitlines()[1:]}
    files = (path for path in output.rglob("*") if path.is_file())
    assert listed == {str(path.relative_to(output)) for path in files}
    with pytest.raises(OptionError, match="replace it with --overwrite"):
        arguments.run(arguments)
    arguments = build_parser().parse_args([*flags, "--overwrite"])
    arguments.run(arguments)
