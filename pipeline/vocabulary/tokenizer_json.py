"""Files `tokenizer.json` of the library `tokenizers`: their tokens, and whether text comes back.

Taken is a byte-level BPE whose other steps only cut text: then the bytes of the tokens, joined, are
the text. What changes or drops text is refused by its name, but for a normalizer to NFC, which is
named (`TokenizerJson.normalizer`) for others to decide on.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.errors import UserError

FILE_NAME = "tokenizer.json"
_SPARE_IDS = 2**16  # that no token has, as some published models leave free
# What may stand before the merges: it only says where text is cut.
_CUTTERS = ("ByteLevel", "Digits", "FixedLength", "Punctuation", "Split", "UnicodeScripts")
_BESIDE = ": take the tokenizer.model that is published beside it"
_MARK = re.compile(r"[ \t\n\r]*([{},:])[ \t\n\r]*")
_TAKEN = "textreel takes byte-level BPE that loses no text, as GPT-2's and Llama 3's"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerJson:
    """What a `tokenizer.json` says.

    Attributes:
        tokens: the bytes of every id, none where no token has it.
        specials: special tokens -> ids. They are never read from text.
        added: the other added tokens, which are; as they stand in the file.
        normalizer: `NFC`, or empty where every text comes back.
        steps: what cuts text before the merges, as it stands in the file, in order.
        model: where the model stands in the file: its first character, and the one after it.
        has_foreign_tokens: whether there are tokens that are neither bytes nor added.
    """

    tokens: tuple[bytes, ...]
    specials: dict[str, int]
    added: tuple[dict[str, Any], ...]
    normalizer: str
    steps: tuple[dict[str, Any], ...]
    model: tuple[int, int]
    has_foreign_tokens: bool


def read_tokenizer_json(content: str) -> TokenizerJson:
    """Reads the content of a `tokenizer.json`.

    Raises:
        UserError: it is none, or would not give every text back.
    """
    try:
        members, spans = _members(content)
        problem = next(_problems(members), None)
        if problem:
            raise UserError(f"the tokenizer {problem}; {_TAKEN}")
        vocab, added = members["model"]["vocab"], members.get("added_tokens") or []
        ids = {token["content"]: token["id"] for token in added}
        _check_ids({**vocab, **ids})
        tokens, foreign = _bytes_of_ids(vocab, ids)
        return TokenizerJson(
            tokens=tokens,
            specials={t["content"]: t["id"] for t in added if t.get("special")},
            added=tuple(token for token in added if not token.get("special")),
            normalizer="NFC" if _steps(members, "normalizer") else "",
            steps=_steps(members, "pre_tokenizer"),
            model=spans["model"],
            has_foreign_tokens=bool(foreign),
        )
    except UserError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"no tokenizer.json of a byte-level BPE ({error!r})") from error


def _members(content: str) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """The members of a JSON object, and from where to where the value of each stands."""
    decode = json.JSONDecoder().raw_decode
    values, spans = {}, {}
    mark: Any = _MARK.match(content)
    while mark[1] in "{,":
        name, stop = decode(content, mark.end())
        colon: Any = _MARK.match(content, stop)
        values[name], stop = decode(content, colon.end())
        spans[name] = colon.end(), stop
        mark = _MARK.match(content, stop)
    return values, spans


def _steps(members: dict[str, Any], kind: str) -> tuple[dict[str, Any], ...]:
    """The steps of a `normalizer` or `pre_tokenizer`: sequences, which may nest, laid flat."""
    waiting, steps = [members.get(kind)], []
    while waiting:
        step = waiting.pop()
        if step and step["type"] == "Sequence":
            waiting += reversed(step[f"{kind.replace('_', '')}s"])
        elif step:
            steps.append(step)
    return tuple(steps)


def _problems(members: dict[str, Any]) -> Iterator[str]:
    """Why text may not come back."""
    yield from _problems_of_model(members["model"])
    for step in _steps(members, "normalizer"):
        if step["type"] != "NFC":
            yield f"changes text (normalizer {step['type']})"
    yield from _problems_of_steps(_steps(members, "pre_tokenizer"))
    for token in members.get("added_tokens") or []:
        if not token.get("special") and (token.get("lstrip") or token.get("rstrip")):
            yield f"drops the spaces beside {token['content'][:30]!r} (lstrip, rstrip)"
    if members.get("truncation"):
        yield "cuts text off (truncation)"


def _problems_of_model(model: dict[str, Any]) -> Iterator[str]:
    """Why the model may lose text."""
    kind = model.get("type") or _kind_of_untyped(model)
    if kind != "BPE":
        yield f"is a {kind} model" + (_BESIDE if kind == "Unigram" else "")
        return
    if model.get("byte_fallback"):
        yield f"is a SentencePiece model, which is not byte-level (byte_fallback){_BESIDE}"
    if model.get("dropout"):
        yield "cuts words at random (dropout)"
    for affix in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(affix):
            yield f"marks words in the text ({affix})"
    missing = CHARACTERS.keys() - model["vocab"].keys()
    if missing and not model.get("byte_fallback"):
        yield f"lacks {len(missing)} of the 256 bytes, and would lose text"


def _kind_of_untyped(model: dict[str, Any]) -> str:
    """The kind of a model without `type`, as the library wrote them before 0.9."""
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model["vocab"], list) else "WordPiece"


def _problems_of_steps(steps: tuple[dict[str, Any], ...]) -> Iterator[str]:
    """Why what is done before the merges may lose text."""
    for step in steps:
        if step["type"] not in _CUTTERS:
            yield f"drops or changes text (pre-tokenizer {step['type']})"
        if step.get("add_prefix_space"):
            yield "adds a space before text (add_prefix_space)"
        if step.get("behavior") == "Removed" and not step.get("invert"):
            yield f"removes text (pre-tokenizer {step['type']}, Removed)"
    if [step["type"] for step in steps].count("ByteLevel") != 1:
        yield "is not byte-level"


def _check_ids(ids: dict[str, Any]) -> None:
    """Refuses ids that are no small numbers: a table of all up to the largest is made."""
    limit = 2 * len(ids) + _SPARE_IDS
    if (
        set(map(type, ids.values())) == {int}
        and 0 <= min(ids.values()) <= max(ids.values()) < limit
    ):
        return
    for token, number in ids.items():
        if type(number) is not int or not 0 <= number < limit:
            raise UserError(
                f"the token {token[:30]!r} has the id {str(number)[:30]} among {len(ids)} tokens"
            )


def _bytes_of_ids(
    vocab: dict[str, int], added: dict[str, int]
) -> tuple[tuple[bytes, ...], list[str]]:
    """The bytes of every id, and the tokens that are neither bytes nor added."""
    tokens = [b""] * (max([*vocab.values(), *added.values()]) + 1)
    names = [text for text in vocab if text not in added]
    foreign = []
    if not _BYTE_LEVEL.fullmatch("".join(names)):
        foreign = [text for text in names if not _BYTE_LEVEL.fullmatch(text)]
        names = [text for text in names if _BYTE_LEVEL.fullmatch(text)]
    # A byte a character: all at once take a fifth of the time.
    joined = "".join(names).translate(_BYTES).encode("latin-1")
    stop = 0
    for text in names:
        start, stop = stop, stop + len(text)
        tokens[vocab[text]] = joined[start:stop]
    for text, number in [*((text, vocab[text]) for text in foreign), *added.items()]:
        tokens[number] = text.encode()
    return tuple(tokens), foreign


def _bytes_to_characters() -> dict[int, str]:
    """GPT-2's table (`bytes_to_unicode`): printable bytes stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }


CHARACTERS = {character: byte for byte, character in _bytes_to_characters().items()}
_BYTES = {ord(character): byte for character, byte in CHARACTERS.items()}
_BYTE_LEVEL = re.compile("[" + re.escape("".join(CHARACTERS)) + "]*")
