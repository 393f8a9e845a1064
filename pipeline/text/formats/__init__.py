"""Formats: how sources are written. One class a module; a new one is a module and a name here.

None knows of vocabularies or of the plan. See `pipeline.text.pieces.Format`.
"""

from pipeline.text.formats.json_array import JsonArray
from pipeline.text.formats.json_lines import JsonLines
from pipeline.text.formats.parquet import Parquet
from pipeline.text.formats.plain_text import PlainText
from pipeline.text.formats.tfds import TfdsExamples
from pipeline.text.formats.token_file import TokenFile
from pipeline.text.pieces import Format

# A source is of the first format that finds it. Plain text takes whatever is left.
FORMATS: tuple[type[Format], ...] = (
    TokenFile,
    TfdsExamples,
    Parquet,
    JsonArray,
    JsonLines,
    PlainText,
)

__all__ = ["FORMATS", "JsonArray", "JsonLines", "Parquet", "PlainText", "TfdsExamples", "TokenFile"]
