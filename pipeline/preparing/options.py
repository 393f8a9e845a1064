"""Options of a corpus: what its bytes depend on, besides its sources."""

import argparse
import dataclasses
import re

from pipeline.errors import OptionError
from pipeline.options import check_choices, check_int, check_text, flag_text, option
from pipeline.terminal import as_utf8
from pipeline.text.bad_rows import ERROR, ON_BAD_ROW, SKIP
from pipeline.text.pieces import DOCUMENTS, FILE, MAX_ROW_BYTES, Reading

MIN_SHARD_BYTES = 64
_SPLITS = {"train": 0.98, "validation": 0.02}
_TOKEN_BYTES = {"uint16": 2, "uint32": 4}
_OF_TEXT = ("document", "text_field", "on_bad_row", "max_row_bytes", "unknown")
_MAX_RECORD_TOKENS = 2**24


def _parse_splits(text: str) -> dict[str, float]:
    """`"train=0.9,test=0.1"` -> `{"train": 0.9, "test": 0.1}`."""
    splits: dict[str, float] = {}
    for part in text.split(","):
        name, equals, fraction = part.partition("=")
        try:
            if not equals or name in splits:
                raise ValueError
            splits[name] = float(fraction)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be of the form train=0.98,validation=0.02, each name once, got {text!r}"
            ) from None
    return splits


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """What a corpus is made of its sources; an instance is always valid.

    The meaning of each field is its `help` metadata, which is also the flag's help. In a
    manifest, `vocabulary` is the fingerprint of a vocabulary that was given as a path.

    Raises:
        OptionError: an option breaks its rule.
    """

    vocabulary: str = option(
        "what a token is: a byte (takes any input), a character, or a subword: a byte-level BPE of "
        "SIZE ids, trained on the text; or the vocabulary of a corpus, a tokenizer.json, or a "
        "SentencePiece tokenizer.model",
        default="byte",
        metavar="byte|char|bpe:SIZE|FILE",
    )
    name: str = option(
        "name of the TensorFlow Datasets dataset, hence the beginning of each shard's file name",
        default="text",
        metavar="NAME",
    )
    splits: dict[str, float] = option(
        "the parts of the corpus, and the fraction of the text in each",
        default=_SPLITS,
        parse=_parse_splits,
        metavar="NAME=FRACTION,…",
    )
    shard_bytes: int | None = option(
        "bytes of source text in a shard, about; without it: a sixteenth of the text, but between "
        "4 and 64 MiB, so that a small text, too, is work for many",
        default=None,
        parse=int,
    )
    record_tokens: int = option(
        "tokens in a record, the smallest unit that is read from disk",
        default=4 * 2**10,
        parse=int,
    )
    document: str = option(
        "what a document is in plain text: a file, a line, the lines between blank ones, or the "
        "text between SEPARATORs, such as '<|endoftext|>'",
        default=FILE,
        parse=as_utf8,
        metavar="file|line|blank_line|SEPARATOR",
    )
    text_field: str | None = option(
        "of JSON Lines, JSON arrays, Parquet and tfds: the field that holds the text; a row is a "
        "document; a.b: the field b of the field a, where none is called a.b",
        default=None,
        parse=as_utf8,
        metavar="NAME",
    )
    on_bad_row: str = option(
        "what becomes of a row that has no text, such as one that is not valid JSON, lacks the "
        "field, or is null: an error, or it is skipped, and counted",
        default=ERROR,
        choices=ON_BAD_ROW,
    )
    max_row_bytes: int = option(
        "most bytes of a row, a line or another document of a source with many, which is held in "
        "memory as a whole",
        default=MAX_ROW_BYTES,
        parse=int,
    )
    allow_binary: bool = option(
        "with byte: also files of known binary formats, such as .pdf and .zip, byte by byte",
        default=False,
    )
    from_bin: str | None = option(
        "the sources are files of token ids, .bin, as nanoGPT's and llm.c's scripts make them, "
        "each of the split that its name says, and --vocabulary is theirs: the type of an id in "
        "files without a header",
        default=None,
        choices=tuple(_TOKEN_BYTES),
    )
    min_count: int = option("with char: rarer characters become U+FFFD", default=1, parse=int)
    unknown: str = option(
        "characters that a given vocabulary lacks: an error, or U+FFFD",
        default="error",
        choices=("error", "replace"),
    )
    normalize: bool = option(
        "take a tokenizer that normalises text, as Qwen's does (NFC): the normalised text comes "
        "back, not the source's",
        default=False,
    )

    @property
    def bpe_size(self) -> int | None:
        """The `SIZE` of `bpe:SIZE`."""
        kind, colon, size = self.vocabulary.partition(":")
        return int(size) if kind == "bpe" and colon else None

    @property
    def replaces_unknown(self) -> bool:
        """Whether characters without an id become U+FFFD."""
        return self.unknown == "replace" or self.min_count > 1

    @property
    def reading(self) -> Reading:
        """How the sources are read."""
        return Reading(
            document=self.document,
            text_field=self.text_field,
            max_row_bytes=self.max_row_bytes,
            allow_binary=self.allow_binary,
            skip_bad_rows=self.on_bad_row == SKIP,
            utf8_only=self.on_bad_row == SKIP and self.vocabulary != "byte",
            token_bytes=0 if self.from_bin is None else _TOKEN_BYTES[self.from_bin],
        )

    def __post_init__(self) -> None:
        check_choices(self)
        check_text(self, "vocabulary", "name", "document", "splits")
        check_int(self, 1, "record_tokens", "min_count", "max_row_bytes")
        check_int(self, MIN_SHARD_BYTES, "shard_bytes", or_none=True)
        self._check_vocabulary()
        self._check_from_bin()
        self._check_splits()
        if not re.fullmatch(r"[A-Za-z][\w-]*", self.name, re.ASCII):
            raise OptionError(
                f"`name` must be a letter, then letters, digits, _ and -, got {self.name!r}"
            )
        if self.record_tokens > _MAX_RECORD_TOKENS:
            raise OptionError(
                f"`record_tokens` must be at most {_MAX_RECORD_TOKENS}, got {self.record_tokens}; "
                "the default suits most corpora"
            )
        if self.document not in DOCUMENTS and self.document.isidentifier():
            raise OptionError(
                f"`document` must be {', '.join(DOCUMENTS)} or a separator, which is no mere word, "
                f"for that would split sentences, got {self.document!r}"
            )
        if self.text_field == "":
            raise OptionError("`text_field` must not be empty; name the field that holds the text")

    def _check_from_bin(self) -> None:
        if self.from_bin is None:
            return
        if self._is_made:
            raise OptionError(
                "`from_bin` needs the vocabulary that the ids are of, such as GPT-2's "
                f"tokenizer.json; give its file as `vocabulary`, got {self.vocabulary!r}"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_TEXT and value != field.default:
                raise OptionError(
                    f"`{field.name}` {flag_text(value)} has no effect with `from_bin`: the sources "
                    "are ids, and no text; leave it out"
                )

    def with_given_splits(self, num_bytes: dict[str, int]) -> "PrepareOptions":
        """Returns the options whose splits are those that the sources say, with their shares.

        Args:
            num_bytes: split -> bytes of its sources.

        Raises:
            OptionError: splits are given besides.
        """
        if self.splits != _SPLITS:
            raise OptionError(
                f"`splits` {flag_text(self.splits)} has no effect with `from_bin`: the name of "
                "each file says its split; leave it out"
            )
        total = sum(num_bytes.values())
        return dataclasses.replace(
            self, splits={split: part / total for split, part in num_bytes.items()}
        )

    def _check_splits(self) -> None:
        for split, fraction in self.splits.items():
            if not re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII):
                raise OptionError(
                    f"`splits`: the name of a split must be letters and digits, got {split!r}"
                )
            if not 0 < fraction <= 1:
                raise OptionError(
                    f"`splits`: the fraction of {split} must be in (0, 1], got {fraction}"
                )
        if abs(sum(self.splits.values()) - 1) > 1e-6:
            total = f"{sum(self.splits.values()):.6g}"
            raise OptionError(f"`splits` must sum to 1, got {total}: {flag_text(self.splits)}")

    @property
    def _is_made(self) -> bool:
        """Whether the vocabulary is bytes, or made from the text."""
        return self.vocabulary in ("byte", "char") or self.vocabulary.startswith("bpe:")

    def _check_vocabulary(self) -> None:
        if self.vocabulary == "bpe" or self.vocabulary.startswith("bpe:"):
            size = self.vocabulary.removeprefix("bpe").removeprefix(":")
            if not size.isascii() or not size.isdecimal() or not 257 <= int(size) <= 2**20:
                raise OptionError(
                    f"`vocabulary` bpe:SIZE must have a number of ids between 257 and {2**20}, as "
                    f"in bpe:8192, got {self.vocabulary!r}"
                )
        if self.min_count > 1 and self.vocabulary != "char":
            raise OptionError(
                f"`min_count` {self.min_count} has no effect with `vocabulary` {self.vocabulary}; "
                "only of `char` are rare symbols left out"
            )
        if self.allow_binary and self.vocabulary != "byte":
            raise OptionError(
                f"`allow_binary` has no effect with `vocabulary` {self.vocabulary}; only `byte` "
                "takes what is no text"
            )
        if self.unknown == "replace" and self._is_made:
            raise OptionError(
                "`unknown` replace has no effect: a vocabulary made from the text, and bytes, "
                "know everything; give the `vocabulary` of another corpus"
            )
        if self.normalize and self._is_made:
            raise OptionError(
                "`normalize` has no effect: bytes, characters and a BPE made from the text give "
                "every text back; give a `vocabulary` that normalises"
            )
