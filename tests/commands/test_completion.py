"""completion: the scripts know every command and option, and shells take them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from trainer.cli import build_parser
from trainer.commands.completion import script


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_knows_commands_and_options(shell: str) -> None:
    written = script(build_parser(), shell)
    for word in ("prepare", "train", "--seq_len" if shell != "tcsh" else "seq_len", "completion"):
        assert word in written
    assert "verbosity" not in written
    assert "no_lanes" not in written


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(script(build_parser(), "bash"))
    (tmp_path / "my_corpus").mkdir()
    program = f"""
source {tmp_path}/completion
COMP_WORDS=(textreel "$@"); COMP_CWORD=$#
"$(complete -p textreel | sed "s/.*-F \\([^ ]*\\) .*/\\1/")"
printf "%s\\n" "${{COMPREPLY[@]}}"
"""

    def completed(*words: str) -> list[str]:
        command = ["bash", "--norc", "-c", program, "bash", *words]
        result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
        return result.stdout.split()

    assert completed("tra") == ["trace", "train"]
    assert completed("train", "--val") == ["--validation_split"]
    assert completed("train", "--optimizer", "ad") == ["adam", "adamw"]
    assert completed("train", "my") == ["my_corpus"]
