"""Loading of vocabularies: those of a corpus, of a run, or of a file."""

import os
import re
from typing import Any

from pipeline.errors import UserError
from pipeline.files import exists, is_uri, join, parse_json, read_bytes
from pipeline.vocabulary import sentence_pieces, tokenizer_json
from pipeline.vocabulary.base import FILE_NAME, Vocabulary
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from pipeline.vocabulary.foreign_files import WANTED, foreign_kind
from pipeline.vocabulary.subword import SubwordVocabulary

VOCABULARY_FILES = (tokenizer_json.FILE_NAME, sentence_pieces.FILE_NAME, FILE_NAME)
_TOKENIZER = re.compile(rb'"model"\s*:\s*\{')  # in a text of JSON, the quotes would be escaped
_MODEL = re.compile(r"\.model[^/]*$")  # also as in tokenizer.model.v3
_FILE = re.compile(rf"\.json$|{_MODEL.pattern}")


def load_vocabulary(path: str | os.PathLike[str], *, unknown: str = "error") -> Vocabulary:
    """Reads the vocabulary of a corpus or of a training run, or one that is a file.

    Args:
        path: a directory with one of `VOCABULARY_FILES`, or such a file.
        unknown: see `CharVocabulary` and `SentencePieceVocabulary`; nothing is unknown to others.

    Raises:
        UserError: there is none, or its file is damaged, or another program's.
    """
    path = os.fspath(path)
    is_file = bool(_FILE.search(path)) if is_uri(path) else not os.path.isdir(path)
    if not is_file:
        files = [join(path, name) for name in VOCABULARY_FILES]
        path = next(filter(exists, files), files[-1])
    if _MODEL.search(path):
        return sentence_pieces.load_model(path, unknown=unknown)
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a corpus and a run each have one") from error
    is_tokenizer = _TOKENIZER.search(content) is not None
    if not is_tokenizer and os.path.basename(path) not in VOCABULARY_FILES:
        kind = foreign_kind(content)
        if kind:
            raise UserError(f"{path}: it is {kind}; {WANTED}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: byte {error.start} is not UTF-8") from error
    try:
        if is_tokenizer:
            return SubwordVocabulary(text)
        return _own(parse_json(text, path), path, unknown)
    except UserError as error:
        raise error if path in str(error) else UserError(f"{path}: {error}") from error


def _own(content: Any, path: str, unknown: str) -> Vocabulary:
    """The vocabulary of a `vocabulary.json`."""
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind == ByteVocabulary.kind:
        return ByteVocabulary()
    if kind == CharVocabulary.kind and isinstance(content.get("characters"), str):
        points = [ord(character) for character in content["characters"]]
        return CharVocabulary(points).with_unknown(unknown)
    if isinstance(kind, str) and kind != CharVocabulary.kind:
        raise UserError(f"unknown `kind` {kind[:50]!r}; is textreel too old for it?")
    raise UserError(
        f"{path} is damaged, or is no vocabulary: it is neither a vocabulary.json of textreel's "
        "nor a tokenizer.json of the library tokenizers"
    )
