"""Loading of vocabularies: those of a corpus, of a run, or of a file."""

import os

from pipeline.errors import UserError
from pipeline.files import exists, is_uri, join, parse_json, read_text
from pipeline.vocabulary import subword
from pipeline.vocabulary.base import FILE_NAME, Vocabulary
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary

VOCABULARY_FILES = (FILE_NAME, subword.FILE_NAME)


def load_vocabulary(path: str | os.PathLike[str], *, unknown: str = "error") -> Vocabulary:
    """Reads the vocabulary of a corpus or of a training run, or one that is a file.

    Args:
        path: a directory with a `vocabulary.json` or a `tokenizer.json`, or such a file.
        unknown: see `CharVocabulary`; nothing is unknown to the others.

    Raises:
        UserError: there is none, or its file is damaged.
    """
    path = os.fspath(path)
    is_directory = not path.endswith(".json") if is_uri(path) else os.path.isdir(path)
    if is_directory:
        tokenizer = join(path, subword.FILE_NAME)
        path = tokenizer if exists(tokenizer) else join(path, FILE_NAME)
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a corpus and a run each have one") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: byte {error.start} is not UTF-8") from error
    content = parse_json(text, path)
    if isinstance(content, dict) and "model" in content:
        return subword.load_tokenizer(path)
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind == ByteVocabulary.kind:
        return ByteVocabulary()
    if kind == CharVocabulary.kind and isinstance(content.get("characters"), str):
        points = [ord(character) for character in content["characters"]]
        try:
            return CharVocabulary(points).with_unknown(unknown)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    if isinstance(kind, str) and kind != CharVocabulary.kind:
        raise UserError(f"{path}: unknown `kind` {kind[:50]!r}; is textreel too old for it?")
    raise UserError(
        f"{path} is damaged, or is no vocabulary: it is neither a vocabulary.json of textreel's "
        "nor a tokenizer.json of the library tokenizers"
    )
