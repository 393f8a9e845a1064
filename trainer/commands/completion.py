"""`textreel completion`: what a shell needs to complete command lines."""

import argparse
from collections.abc import Callable

import shtab

from pipeline.parsing import CommandParser
from pipeline.terminal import show

_HOW = """to have it in every new shell:
  bash:  textreel completion bash > ~/.local/share/bash-completion/completions/textreel
  zsh:   textreel completion zsh > DIR/_textreel   (DIR: a directory of $fpath)
  tcsh:  textreel completion tcsh > ~/.textreel.tcsh, and `source ~/.textreel.tcsh` in ~/.tcshrc
"""
_FILES = ("FILE", "DIR", "CORPUS", "RUN", "INDEX", "SOURCE")


def add_arguments(
    parser: CommandParser, build_parser: Callable[[], argparse.ArgumentParser]
) -> None:
    """Adds what `completion` takes to its parser.

    Args:
        parser: that of the command.
        build_parser: returns the parser of all commands.
    """
    parser.epilog, parser.formatter_class = _HOW, argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), metavar="bash|zsh|tcsh")
    parser.set_defaults(run=lambda arguments: show(script(build_parser(), arguments.shell)))


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Returns the script that completes what a parser takes."""
    _complete_files(parser)
    return str(shtab.complete(parser, shell=shell))


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Marks the arguments whose values are files, as shtab wants it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                command.fill()
                _complete_files(command)
        elif set(str(action.metavar).split("|")) & set(_FILES):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
