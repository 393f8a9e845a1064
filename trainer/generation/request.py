"""Request of text: the prompt, how tokens are drawn, and where the text ends."""

import dataclasses

from pipeline.errors import OptionError
from pipeline.options import check_int, check_number, option

_LARGEST = 2**31 - 1  # int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Options of generating text; an instance is always valid.

    The meaning of each field is its `help` metadata, which is also the flag's help. They act in
    this order: the temperature, then `top_k`, then `top_p` (Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751) on what `top_k` left. The draw of token `i` of sample `s`
    depends on `(seed, s, i)` alone.

    Raises:
        OptionError: an option breaks its rule.
    """

    prompt: str = option(
        "text to continue; without it a document begins", default="", metavar="TEXT"
    )
    tokens: int = option("most tokens to generate", default=500, parse=int)
    temperature: float = option(
        "1: the model's own distribution; less: likelier text; 0: always the likeliest token",
        default=0.7,
        parse=float,
        metavar="X",
    )
    top_k: int = option(
        "draw from this many likeliest tokens alone; 0: from all", default=0, parse=int
    )
    top_p: float = option(
        "draw from the likeliest tokens alone that together have this probability; 1: from all",
        default=1.0,
        parse=float,
        metavar="X",
    )
    seed: int = option("the same seed gives the same text", default=0, parse=int)
    stop: tuple[str, ...] = option(
        "end the text before this one; may be given several times", default=(), metavar="TEXT"
    )

    def __post_init__(self) -> None:
        check_int(self, 0, "tokens", "top_k", "seed")
        for name in ("tokens", "top_k", "seed"):
            if getattr(self, name) > _LARGEST:
                raise OptionError(f"`{name}` must be below 2**31, got {getattr(self, name)}")
        check_number(
            self, "temperature", "at least 0 and finite", lambda temperature: temperature >= 0
        )
        check_number(self, "top_p", "above 0 and at most 1 (1: all)", lambda share: 0 < share <= 1)
        check_utf8("prompt", self.prompt)
        if isinstance(self.stop, str):
            raise OptionError(f"`stop` must be a tuple of texts, got the text {self.stop!r}")
        object.__setattr__(self, "stop", tuple(self.stop))
        if "" in self.stop:
            raise OptionError("`stop` must not be empty; give a text with --stop, or leave it out")
        for text in self.stop:
            check_utf8("stop", text)


def check_utf8(name: str, text: str) -> None:
    """Refuses a text that was no UTF-8 on the command line, or has half a surrogate pair.

    Raises:
        OptionError: it is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"`{name}` must be UTF-8, but its character {error.start} is not: "
            f"{text[error.start : error.start + 1]!r}; give another text"
        ) from error
