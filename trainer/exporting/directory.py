"""Directory of an export: a run's model for other programs, written whole or not at all.

DIR/saved_model.pb, variables/    a SavedModel: see `trainer.exporting.signatures`
DIR/model.keras                   see `trainer.exporting.plain_keras`
DIR/vocabulary.json               or tokenizer.json, tokenizer.model: text <-> ids
DIR/README.md                     how to load and to call it
"""

import contextlib
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.files import checked_output, exists, is_in_store, join, names_in, put_file, remove
from trainer.exporting.plain_keras import plain_model
from trainer.exporting.readme import readme_text
from trainer.exporting.signatures import exported_model
from trainer.models import build_model
from trainer.run.checkpoint import restore_weights
from trainer.run.opening import open_run

_WHOLE = "saved_model.pb"  # written last: a directory that has it is complete


def export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    checkpoint: str | None = None,
    overwrite: bool = False,
    allow_code: bool = False,
) -> dict[str, int]:
    """Writes a run's model for programs that do not have this package.

    Weights and arithmetic of the `.keras` file are float32; the SavedModel computes as the
    run did.

    Args:
        run: the directory that `textreel train` wrote.
        output: the directory to make, or its URI.
        checkpoint: `"best"`, the one of the lowest validation loss, or `"newest"`; None: see
            `default_checkpoint`.
        overwrite: replace an export that is there.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.

    Returns:
        The files, by their paths in the directory, and their sizes in bytes.

    Raises:
        OptionError: the output is there (without `overwrite`), is no export, or no path.
        UserError: the run has no such checkpoint, or has a model of its own (without
            `allow_code`); or its files do not belong together.
        OSError: the output cannot be written.
    """
    output = checked_output(output, "output").rstrip("/")
    _check_output(output, overwrite=overwrite)
    opened = open_run(run, checkpoint=checkpoint, allow_code=allow_code)
    config, vocabulary = opened.config, opened.vocabulary
    model = build_model(config, vocabulary.size, use_cudnn=False)
    restore_weights(opened.checkpoint, model)
    parent = None if is_in_store(output) else Path(output).absolute().parent
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    # Beside the output, where a rename is atomic.
    with tempfile.TemporaryDirectory(prefix=".textreel-export-", dir=parent) as scratch:
        made = Path(scratch) / "export"
        module = exported_model(model, vocabulary)
        tf.saved_model.save(module, str(made), signatures=module.signatures())
        plain_model(model).save(made / "model.keras")
        vocabulary.save(str(made))
        (made / "README.md").write_text(readme_text(config, vocabulary, output))
        sizes = {
            str(file.relative_to(made)): file.stat().st_size
            for file in sorted(made.rglob("*"))
            if file.is_file()
        }
        if parent is None:
            _upload(made, output, list(sizes))
        else:
            _move(made, Path(output))
    return sizes


def _check_output(output: str, *, overwrite: bool) -> None:
    if not exists(output):
        return
    with contextlib.suppress(NotADirectoryError):
        if not names_in(output):
            return
    if not exists(join(output, _WHOLE)):
        raise OptionError(f"`output` {output} is there, and is no export; give another --output")
    if not overwrite:
        raise OptionError(
            f"`output` {output} is there; give another --output, or replace it with --overwrite"
        )


def _move(made: Path, output: Path) -> None:
    """Puts a directory into its place by a rename; what was there goes into the scratch folder."""
    if output.exists():
        output.rename(made.with_name("replaced"))
    made.rename(output)


def _upload(made: Path, output: str, files: list[str]) -> None:
    """Copies a directory to a URI; the file that makes it whole goes first, and comes last."""
    remove(join(output, _WHOLE))
    for file in sorted(files, key=lambda name: name == _WHOLE):
        put_file(made / file, join(output, file))
