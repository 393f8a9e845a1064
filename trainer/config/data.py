"""Options of the data: the text that a run reads, and how it is cut into batches."""

import dataclasses
from typing import Literal

from pipeline.errors import OptionError
from pipeline.options import check_int, check_paths, check_text, option, path_flag
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN

VALIDATION = "validation"
TARGETS = ("sequence", "last")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The text of a run and how it is cut into batches."""

    corpus: str = option(
        "directory of the prepared corpus",
        parse=path_flag,
        metavar="CORPUS",
        positional=True,
        identity=False,
    )
    cache_dir: str | None = option(
        "directory of this machine that keeps the shards of a corpus in a store; without it: none "
        "for gs://, ~/.cache/textreel for other stores",
        default=None,
        parse=path_flag,
        metavar="DIR",
        identity=False,
    )
    cache_bytes: int | None = option(
        "bytes that --cache_dir may take; what does not fit is read again in every epoch; "
        "without it: no bound",
        default=None,
        parse=int,
        identity=False,
    )
    train_split: str = option("split to train on", default="train", metavar="NAME")
    validation_split: str | None = option(
        "split to evaluate on; without it: validation, or none where the corpus has no such split",
        default=None,
        metavar="NAME",
        identity=False,
    )
    seq_len: int = option("tokens of input in one window", default=DEFAULT_SEQ_LEN, parse=int)
    stride: int | None = option(
        "tokens between the starts of two windows; without it: seq_len",
        default=None,
        parse=int,
    )
    lanes: bool = option(
        "read the text in order, a row going on where it was at the step before with the "
        "state it had there (one in a hundred forgets it), instead of shuffled windows, and "
        "validate so; for recurrent models",
        default=False,
    )
    batch_size: int = option(
        "windows (or lanes) of one step, over all hosts and replicas",
        default=DEFAULT_BATCH_SIZE,
        parse=int,
    )
    targets: Literal["sequence", "last"] = option(
        "predict the next token at every place of a window, or only after its last one",
        default="sequence",
        choices=TARGETS,
    )
    seed: int = option(
        "seed of the weights, the dropout, the text order and of which lanes forget",
        default=0,
        parse=int,
    )

    def check_data(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        named = [] if self.validation_split is None else ["validation_split"]
        check_text(self, "train_split", *named)
        check_paths(self, "corpus")
        check_paths(self, "cache_dir", or_none=True)
        check_int(self, 1, "seq_len", "batch_size")
        check_int(self, 1, "stride", or_none=True)
        check_int(self, 0, "cache_bytes", or_none=True)
        if self.lanes and self.stride is not None:
            raise OptionError(
                "`stride` must not be given with `lanes` (a lane leaves nothing out and reads "
                f"nothing twice), got {self.stride}; leave --stride or --lanes out"
            )
        if self.lanes and self.targets != "sequence":
            raise OptionError(
                "`targets` must be 'sequence' with `lanes` (every token is predicted once), got "
                f"{self.targets!r}; leave --targets or --lanes out"
            )
        check_int(self, 0, "seed")
        if self.seed >= 2**31:  # NumPy's and TensorFlow's seeds are 32-bit
            raise OptionError(f"`seed` must be below 2**31, got {self.seed}; use a smaller one")

    @property
    def evaluated_split(self) -> str:
        """The split to evaluate on: `validation_split`, or `validation` without it."""
        return VALIDATION if self.validation_split is None else self.validation_split

    @property
    def window_stride(self) -> int:
        """Tokens between the starts of two windows: `stride`, or `seq_len` without one."""
        return self.seq_len if self.stride is None else self.stride
