"""TensorFlow datasets, `tfds:NAME[/CONFIG]:SPLIT`: one example a document.

They alone import TensorFlow, and only where they are used.
"""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from pipeline.errors import UserError
from pipeline.files import is_uri
from pipeline.text.formats.rows import RowFormat, documents_of_rows, row_options
from pipeline.text.pieces import Candidate, Documents, Piece, Reading, Source


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TfdsExamples(RowFormat):
    """Examples of a split of a prepared dataset.

    A source is `tfds:NAME[/CONFIG][:VERSION]:SPLIT`, or `tfds:DIRECTORY:SPLIT`. Its name is
    `tfds:NAME/CONFIG/VERSION:SPLIT`, the same on every machine.

    Attributes:
        split: the name of the split.
    """

    split: str
    prefix = "tfds:"
    title = "TensorFlow dataset"

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`.

        Raises:
            UserError: no such dataset, split or feature, a dataset that is not prepared, or a
                feature that is no text.
        """
        path = candidate.path
        if not path.startswith(cls.prefix):
            return None
        options = row_options(path, reading)
        text_field = options["text_field"]
        dataset, _, split = path.removeprefix(cls.prefix).rpartition(":")
        if not dataset or not split:
            raise UserError(f"{path} is not of the form tfds:NAME:SPLIT or tfds:NAME/CONFIG:SPLIT")
        builder = _builder(path, dataset)
        if split not in builder.info.splits.keys():  # noqa: SIM118, `in` also takes `train[:10%]`
            known = ", ".join(builder.info.splits) or "none; the dataset is not prepared"
            raise UserError(f"{path}: no split {split!r}; the splits are: {known}")
        features = builder.info.features
        if text_field not in features:
            raise UserError(
                f"{path} has no field {text_field!r}; the fields are: "
                f"{', '.join(map(repr, features))}; choose one with `--text_field`"
            )
        feature = features[text_field]
        if feature.shape != () or getattr(feature.np_dtype, "kind", "O") not in "OSU":
            raise UserError(f"{path}: the field {text_field!r} is not a text but {feature!r}")
        info = builder.info.splits[split]
        return Source(
            path=os.fspath(builder.data_dir),
            name=f"{cls.prefix}{builder.info.full_name}:{split}",
            source_bytes=max(info.num_bytes, info.num_examples),
            format=cls(split=split, **options),
            num_rows=info.num_examples,
        )

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: after any example."""
        return offset

    def documents(self, piece: Piece) -> Iterator[Documents]:
        """See `Format.documents`."""
        path = piece.source.path
        rows = read_examples(path, self.split, self.text_field, piece.start, piece.stop)
        return documents_of_rows(piece, rows, self)


def read_examples(
    directory: str, split: str, text_field: str, start: int, stop: int
) -> Iterator[Documents]:
    """Yields the texts of the examples `start … stop - 1`, in the order of the files."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(directory)
    dataset = builder.as_dataset(
        split=tfds.core.ReadInstruction(split, from_=start, to=stop, unit="abs"),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        decoders=tfds.decode.PartialDecoding({text_field}),
    )
    row = start
    for batch in dataset.batch(64).as_numpy_iterator():
        texts = list(batch[text_field])
        yield Documents(texts, range(row, row + len(texts)))
        row += len(texts)
    if row != stop:
        raise UserError(
            f"{directory}: {split} has {row} examples, but had {stop} when the work was "
            "planned; it changed meanwhile: run the same command again"
        )


def _builder(source: str, dataset: str) -> Any:
    import tensorflow_datasets as tfds

    try:
        if is_uri(dataset) or os.path.isdir(dataset):
            return tfds.builder_from_directory(dataset)
        builder = tfds.builder(dataset)
    except (AssertionError, FileNotFoundError, ImportError, ValueError) as error:
        raise UserError(f"{source}: no such dataset: {error}") from error
    if not builder.is_prepared():
        raise UserError(
            f"{source} is not prepared in {builder.data_dir}; download and prepare it first: "
            f"tfds.builder({dataset!r}).download_and_prepare()"
        )
    return builder
