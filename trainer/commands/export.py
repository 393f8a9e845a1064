"""`textreel export`: a trained model for programs that do not have textreel."""

import argparse
import sys
from typing import Any

from pipeline.sizes import size_text
from trainer.commands.checkpoint_flag import add_checkpoint


def add_command(subparsers: Any) -> None:
    """Adds `export` to what `ArgumentParser.add_subparsers` returned."""
    text = "write a trained model as a SavedModel and a .keras file that need no textreel"
    parser = subparsers.add_parser("export", help=text, description=text)
    # `run` is the name of the function that a sub-command runs, hence the other `dest`.
    parser.add_argument(
        "run_directory", metavar="RUN", help="directory of the run: the --output of `train`"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="directory to make")
    add_checkpoint(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the export that is in DIR"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from pipeline.files import join, read_text
    from trainer.export import export_run

    sizes = export_run(
        arguments.run_directory,
        arguments.output,
        checkpoint=arguments.checkpoint,
        overwrite=arguments.overwrite,
    )
    print(f"made {arguments.output}:")
    for file, num_bytes in sizes.items():
        print(f"{size_text(num_bytes):>10}  {file}")
    print()
    sys.stdout.write(read_text(join(arguments.output, "README.md")))
