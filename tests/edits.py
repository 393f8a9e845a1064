"""Texts that are copies of each other, with some words changed, and how alike they are exactly."""

import random
import re

_WORDS = [f"word{number}" for number in range(3000)]


def sentence(source: random.Random, num_words: int) -> str:
    return " ".join(source.choices(_WORDS, k=num_words)) + "\n"


def edited(source: random.Random, text: str, fraction: float) -> str:
    """The text with a fraction of its words changed."""
    words = text.split(" ")
    return " ".join(source.choice(_WORDS) if source.random() < fraction else w for w in words)


def shingles(text: str) -> set[tuple[str, ...]]:
    """Three words on end."""
    words = re.findall(r"\w+", text)
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(first: str, second: str) -> float:
    both = shingles(first) & shingles(second)
    return len(both) / len(shingles(first) | shingles(second))
