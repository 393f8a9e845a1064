"""Embedding vectors of a run's tokens as files for TensorBoard's embedding projector.

    embeddings.tsv          a vector a line
    embedding_symbols.tsv   the tokens' texts, line by line the same tokens
    projector_config.pbtxt  the name of both, under the name that the projector looks for

Vectors as text need no name of a variable in a checkpoint, whose names are the checkpoint's
own business, and no checkpoint beside the event files.
"""

import io
import unicodedata

import numpy as np

from pipeline.files import join, write_text
from pipeline.vocabulary.base import Vocabulary

CONFIG_FILE = "projector_config.pbtxt"  # fixed by TensorBoard
VECTORS_FILE, SYMBOLS_FILE = "embeddings.tsv", "embedding_symbols.tsv"
# The projector draws no more than this many points, and reads all the file in the browser.
MAX_TOKENS = 10_000

_CONFIG = f"""embeddings {{
  tensor_name: "embedding"
  tensor_path: "{VECTORS_FILE}"
  metadata_path: "{SYMBOLS_FILE}"
}}
"""


def write_embeddings(directory: str, vectors: np.ndarray, vocabulary: Vocabulary) -> None:
    """Writes the three files, over older ones.

    Args:
        directory: where the event files are, or its URI.
        vectors: `[vocabulary size, embedding size]`. Of a larger vocabulary than `MAX_TOKENS`
            the first tokens are written: of subwords, those are the most frequent ones.
        vocabulary: text <-> ids.

    Raises:
        OSError: a file cannot be written.
        UserError: the same, of a URI.
    """
    vectors = np.asarray(vectors[:MAX_TOKENS], np.float32)
    text = io.StringIO()
    np.savetxt(text, vectors, fmt="%.6g", delimiter="\t")
    symbols = [symbol_text(vocabulary.decode_bytes([token])) for token in range(len(vectors))]
    write_text(join(directory, VECTORS_FILE), text.getvalue())
    write_text(join(directory, SYMBOLS_FILE), "".join(line + "\n" for line in symbols))
    write_text(join(directory, CONFIG_FILE), _CONFIG)


def symbol_text(token: bytes) -> str:
    r"""A token's text on one line without tabs, never empty, different for different bytes.

    A space becomes `␣`, no bytes at all `∅`; a backslash `\\`; what cannot be printed, or stands
    for something else here, a Python escape: `\n`, `\t`, `\u0000`; a byte that is no UTF-8 `\xff`.
    A mark with no letter before it, such as an accent that is a token of its own, stands on a `◌`;
    a variation selector, which is never seen, is an escape.

    Args:
        token: the bytes that the token stands for.
    """
    shown, has_base = "", False
    for character in token.decode("utf-8", "surrogateescape"):
        text = _shown(character)
        if text == character and unicodedata.category(character).startswith("M"):
            text = text if has_base else f"◌{text}"
        has_base = text[-1] == character
        shown += text
    return shown or "∅"


def _shown(character: str) -> str:
    code = ord(character)
    if character == " ":
        return "␣"
    if character in "\\␣∅◌" or not character.isprintable() or _is_selector(character):
        if 0xDC80 <= code <= 0xDCFF:  # how surrogateescape carries a byte
            return f"\\x{code - 0xDC00:02x}"
        special = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        return special.get(character) or (f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}")
    return character


def _is_selector(character: str) -> bool:
    """Whether it only chooses between forms of the character before it, as U+FE0F an emoji's."""
    return "VARIATION SELECTOR" in unicodedata.name(character, "")
