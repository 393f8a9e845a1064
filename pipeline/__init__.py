"""Text of any size -> a corpus of integer tokens -> shuffled windows for training."""

from pipeline.corpus import Corpus, open_corpus
from pipeline.errors import OptionError, UserError
from pipeline.mixture import mix
from pipeline.plan import PrepareOptions
from pipeline.preparation import prepare
from pipeline.reference import reference_windows

__all__ = [
    "Corpus",
    "OptionError",
    "PrepareOptions",
    "UserError",
    "mix",
    "open_corpus",
    "prepare",
    "reference_windows",
]
