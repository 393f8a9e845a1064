"""Tokenizers as published models have them: each family's way, over a small vocabulary; texts."""

import functools
import json
import random
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXT = (
    "The quick brown fox's tail; don't you'll they're WE'VE 1234567 12,345.67 naïve café Straße "
    "日本語テキスト、漢字。한국어 हिन्दी العربية def f(x):\n    return x + 1  # comment\n\n"
    "\tif (a != b) { print('hello'); }\r\n<think>ok</think> <|endoftext|> été e\u0301te\u0301 "
    "snake_case camelCase\n"
)
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT_4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
BYTE_LEVEL = {
    "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True,
}  # fmt: skip
BYTES_ALONE = {**BYTE_LEVEL, "use_regex": False}


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False) -> dict[str, Any]:
    return {
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert,
    }  # fmt: skip


def steps(*each: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(each)}


def added(number: int, content: str, **flags: bool) -> dict[str, Any]:
    flags = {
        "single_word": False, "lstrip": False, "rstrip": False, "normalized": True,
        "special": False, **flags,
    }  # fmt: skip
    return {"id": number, "content": content, **flags}


@functools.cache
def _model(pre_tokenizer: str, size: int) -> dict[str, Any]:
    """A BPE that is trained behind a pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    cuts = {**json.loads(tokenizer.to_str()), "pre_tokenizer": json.loads(pre_tokenizer)}
    tokenizer = Tokenizer.from_str(json.dumps(cuts))
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return dict(json.loads(tokenizer.to_str())["model"])


def tokenizer_json(
    pre_tokenizer: dict[str, Any],
    *tokens: tuple[str, dict[str, bool]],
    normalizer: dict[str, Any] | None = None,
    size: int = 420,
    **of_model: Any,
) -> dict[str, Any]:
    """A `tokenizer.json`, its added tokens after all others."""
    model = {**_model(json.dumps(pre_tokenizer), size), **of_model}
    first = len(model["vocab"])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            added(first + index, content, **flags) for index, (content, flags) in enumerate(tokens)
        ],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": model,
    }


END = ("<|endoftext|>", {"special": True, "normalized": False})
SPACES = [(" " * number, {}) for number in range(24, 1, -1)]


def old_layout() -> dict[str, Any]:
    """GPT-2's and RoBERTa's files, written before `tokenizers` 0.9."""
    content = tokenizer_json({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True})
    for name in ("type", "byte_fallback", "ignore_merges"):
        content["model"].pop(name)
    del content["added_tokens"]
    return content


@functools.cache
def families() -> dict[str, dict[str, Any]]:
    """Family -> a `tokenizer.json` that is cut and has tokens as its own."""
    thoughts = [(word, {"normalized": False}) for word in ("<think>", "</think>", "<tool_call>")]
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "GPT-2, RoBERTa": old_layout(),
        "GPT-NeoX, Pythia, OLMo": tokenizer_json(BYTE_LEVEL, END, *SPACES),
        "CodeGen, Phi-2": tokenizer_json(BYTE_LEVEL, END, ("\t\t\t", {}), ("\t\t", {}), *SPACES),
        "Llama 3": tokenizer_json(steps(split(LLAMA_3), BYTES_ALONE), END, ignore_merges=True),
        "Qwen": tokenizer_json(
            steps(split(QWEN), BYTES_ALONE), END, *thoughts, normalizer={"type": "NFC"}
        ),
        "GPT-4": tokenizer_json(steps(split(LLAMA_3, "Removed", invert=True), BYTES_ALONE), END),
        "GPT-4o": tokenizer_json(steps(split(GPT_4O, "Removed", invert=True), BYTES_ALONE), END),
        "gpt-oss": tokenizer_json(steps(split(GPT_4O), BYTES_ALONE), END, ignore_merges=True),
        "DeepSeek": tokenizer_json(
            steps(*map(split, DEEPSEEK), BYTES_ALONE), END, ("<｜User｜>", {}), ("<｜x｜>", {}),
            normalizer={"type": "Sequence", "normalizers": []},
        ),
        "StarCoder, SmolLM": tokenizer_json(steps(digits, BYTE_LEVEL), END),
        "BLOOM": tokenizer_json(steps(split(BLOOM), BYTES_ALONE), END),
        "Falcon": tokenizer_json(
            steps(
                {"type": "Punctuation", "behavior": "Contiguous"},
                BYTE_LEVEL,
                {**digits, "individual_digits": False},
                split("[0-9][0-9][0-9]"),
            ),
            END,
        ),
    }  # fmt: skip


_PARTS = (
    *"aZéßñДж中語한हعΩǅʰª1٣½²Ⅻ.,!?-/\\_()[]{}<>|=+$€©™", "'s", "'LL", "'ve", "’s", "'ſ",
    "\u212a", " ", "  ", "    ", " " * 17, " " * 40, "\t", "\t\t", "\n", "\n\n", "\r\n", "\r",
    "\xa0", "\u2003", "\u3000", "\u2028", "\x85", "\x0b", "\x1c", "\u200b", "\ufeff", "e\u0301",
    "\u0301", "\u0338", "\u1112\u1161", "ำ", "the", "The", "THE", "iPhone", "日本語", "ひらがな",
    "12", "1234567", "...", "😀", "👩\u200d👧", "🇩🇪", "\x00", "\x7f", "\xad", "\ue000",
    "\U0010ffff", "\u0378", "\ufffe", "x" * 20, "0" * 30, "#include", "def f(x):\n    return",
    "<|endoftext|>", "<|endof", "<｜", "\U000323b5", "\u1add", "\U0001fae9",
)  # fmt: skip


def fuzzed_texts(tokenizer: dict[str, Any], count: int, *, seed: int = 0) -> list[str]:
    """Short texts of what tokenizers tell apart, of this one's added tokens, and of anything."""
    chosen = random.Random(seed)
    tokens = [token["content"] for token in tokenizer.get("added_tokens") or []]
    tokens = chosen.sample(tokens, min(40, len(tokens))) or ["x"]
    return [
        "".join(_part(chosen, tokens) for _ in range(chosen.randint(1, 24))) for _ in range(count)
    ]


def _part(chosen: random.Random, tokens: list[str]) -> str:
    kind = chosen.random()
    if kind < 0.1:
        return chosen.choice(tokens)
    if kind < 0.2:
        point = chosen.choice((chosen.randrange(0x3000), chosen.randrange(0x110000)))
        return "?" if 0xD800 <= point < 0xE000 else chr(point)
    return chosen.choice(_PARTS)
