"""Text of any size -> a corpus of integer tokens -> shuffled windows for training."""

from pipeline.errors import OptionError, UserError
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.reading.corpus import Corpus, open_corpus
from pipeline.reading.mixture import mix
from pipeline.reading.reference import reference_windows

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
