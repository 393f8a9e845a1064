"""SentencePiece models, trained by its own library as published ones were, on a little text."""

import functools
import io
from typing import Any

from corpora import text
from sentencepiece import SentencePieceTrainer

ENGLISH = (
    "The cat sat on the mat, and the dog sat on the cat; 12 dogs, 345 cats. naïve ﬁne 日本語\r\n"
)
PLAIN: dict[str, Any] = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "byte_fallback": True,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
}
# As the models of these names were trained, but for the text and the size.
SENTENCE_MODELS: dict[str, dict[str, Any]] = {
    "llama": PLAIN | {"model_type": "bpe"},
    "gemma": PLAIN
    | {"model_type": "bpe", "add_dummy_prefix": False, "user_defined_symbols": ["\n\n", "<|im|>"]},
    "unigram": PLAIN | {"model_type": "unigram", "add_dummy_prefix": False},
    "t5": {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "no end": {"model_type": "char", "eos_id": -1, "bos_id": -1, "vocab_size": 90},
}


@functools.cache
def sentence_model(kind: str) -> bytes:
    file = io.BytesIO()
    lines = [*(ENGLISH * 3).splitlines(), *text(20_000).splitlines()]
    options = {"vocab_size": 400, "hard_vocab_limit": False, "minloglevel": 2} | SENTENCE_MODELS[
        kind
    ]
    SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=file, **options)
    return file.getvalue()
