"""`textreel export`: a trained model for programs that do not have textreel."""

import argparse

from pipeline.commands.flags import add_output, add_quiet
from pipeline.parsing import CommandParser
from pipeline.sizes import size_text
from pipeline.terminal import show, status
from trainer.commands.flags import add_checkpoint, add_code, add_run, allows_code, read_named_run


def add_arguments(parser: CommandParser) -> None:
    """Adds what `export` takes to its parser."""
    add_run(parser)
    add_output(parser, "directory to make")
    add_checkpoint(parser)
    add_code(parser)
    add_quiet(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the export that is in DIR"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    read_named_run(arguments)
    from trainer.quiet import import_tensorflow

    import_tensorflow(shown=not arguments.quiet)
    from pipeline.files import join, read_text
    from trainer.exporting.directory import export

    with status("exporting the model", shown=not arguments.quiet):
        sizes = export(
            arguments.run_directory,
            arguments.output,
            checkpoint=arguments.checkpoint,
            allow_code=allows_code(arguments),
            overwrite=arguments.overwrite,
        )
    if arguments.quiet:
        return
    show(f"made {arguments.output}:")
    for file, num_bytes in sizes.items():
        show(f"{size_text(num_bytes):>10}  {file}")
    show()
    show(read_text(join(arguments.output, "README.md")), end="")
