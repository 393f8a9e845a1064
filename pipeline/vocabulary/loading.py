"""Loading of vocabularies: those of a corpus, of a run, or of a file."""

import json
import os

from pipeline.errors import UserError
from pipeline.files import exists, is_uri, join, read_text
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
        content = json.loads(read_text(path))
        if "model" in content:
            return subword.load_tokenizer(path)
        if content["kind"] == ByteVocabulary.kind:
            return ByteVocabulary()
        if content["kind"] == CharVocabulary.kind:
            points = [ord(character) for character in content["characters"]]
            return CharVocabulary(points).with_unknown(unknown)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a corpus and a run each have one") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the corpus again") from error
    raise UserError(f"{path}: unknown `kind` {content['kind']!r}; is textreel too old for it?")
