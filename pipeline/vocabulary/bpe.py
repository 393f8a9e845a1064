r"""Learning of a byte-level BPE from a sample of text: the merges that `tokenizers` would learn.

`gigabpe` learns the same ones in a tenth of the time and less memory. It reads files line by line;
here a newline may stand within a word, as in indented text, so a newline and a vertical tab change
places while it learns: the whole sample is one line.

A run of more than `RUN_CHARACTERS` without white space, such as DNA, is cut into pieces of that
many, as if they were lines: words of any length would take time and memory without bounds.
"""

import os
import re
import tempfile
from collections.abc import Iterable
from typing import Any

from pipeline.errors import UserError
from pipeline.vocabulary.subword import SubwordVocabulary

RUN_CHARACTERS = 256
_SEPARATOR = "<|endoftext|>"
_SWAPPED = bytes.maketrans(b"\n\v", b"\v\n")
_SWAPPED_BACK = str.maketrans("Ċċ", "ċĊ")  # as GPT-2's table writes the two bytes
_SPACES = b"\t\n\v\f\r "
_KINDS = bytes(32 if byte in _SPACES else 120 for byte in range(256))
_LONG_RUNS = (b" " * (RUN_CHARACTERS + 1), b"x" * (RUN_CHARACTERS + 1))
_LONG_WORD = re.compile(rf"(\S{{{RUN_CHARACTERS}}})(?=\S)")
_LONG_SPACE = re.compile(rf"(\s{{{RUN_CHARACTERS}}})\s+")


def train_bpe(
    texts: Iterable[bytes], size: int, *, folder: str | os.PathLike[str] | None = None
) -> SubwordVocabulary:
    """Trains a vocabulary of up to `size` ids; equal texts give an equal one.

    Args:
        texts: a sample; bytes that are not UTF-8 are left out.
        size: ids, at least 257: the separator, which is id 0, and the bytes.
        folder: where the sample lies meanwhile, as a file; `None`: where the system has such files.

    Raises:
        UserError: a package is missing.
    """
    try:
        import gigabpe
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    except ImportError as error:
        raise UserError(
            f"to train subwords needs the package {error.name}: pip install 'textreel[subword]'"
        ) from error
    vocabulary: dict[str, int] = {_SEPARATOR: 0}
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[character] = len(vocabulary)
    merges = []
    for pair in _learned(gigabpe.train_bpe, texts, size, folder):
        if len(vocabulary) == size:
            break
        merges.append(pair)
        vocabulary.setdefault("".join(pair), len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([_SEPARATOR])
    return SubwordVocabulary(tokenizer.to_str())


def _learned(
    train: Any, texts: Iterable[bytes], size: int, folder: str | os.PathLike[str] | None
) -> list[tuple[str, str]]:
    """The merges of a sample, at least as many as give `size` ids, if it has so many."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".txt") as file:
        for text in texts:
            file.write(_sampled(text.decode("utf-8", "ignore")).translate(_SWAPPED))
        file.flush()
        if file.tell() == 0:
            return []
        _, merges = train([file.name], size, pretokenizer="bytelevel", special_tokens=[])
    return [
        (first.translate(_SWAPPED_BACK), second.translate(_SWAPPED_BACK))
        for first, second in merges
    ]


def _sampled(text: str) -> bytes:
    """The bytes of a text without long runs of one kind."""
    data = text.encode()
    kinds = data.translate(_KINDS)
    if not any(run in kinds for run in _LONG_RUNS):  # nearly always
        return data
    return _LONG_WORD.sub(r"\1\v", _LONG_SPACE.sub(r"\1", text)).encode()
