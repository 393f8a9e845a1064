"""Small texts and corpora for the tests."""

import random
from pathlib import Path

from pipeline import Corpus, PrepareOptions, open_corpus, prepare

WORDS = ("lorem", "ipsum", "dolor", "naïve", "日本語", "𝄞", "sit", "amet,", "\r\n", "end.\n")
TEXTS = ("one\r\ntwo\r\n", "\ufeffmarked", "\n\n\n", "x", "𝄞" * 100)


def text(num_characters: int, *, seed: int = 0) -> str:
    """Words and newlines, some of them beyond ASCII."""
    words = random.Random(seed).choices(WORDS, k=num_characters)
    return " ".join(words)[:num_characters]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def make(folder: Path, content: str | bytes, **options: object) -> Corpus:
    """A corpus of one document."""
    source = write(folder / "text.txt", content)
    prepare([source], folder / "corpus", PrepareOptions(**options), workers=1)
    return open_corpus(folder / "corpus")


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
