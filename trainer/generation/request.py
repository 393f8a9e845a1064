"""What to generate: the prompt, how tokens are drawn, and where the text ends."""

import dataclasses
import math

from pipeline.errors import OptionError
from trainer.config.option import check_int, check_number

_LARGEST = 2**31 - 1  # int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Options of generating text; an instance is always valid.

    They act in this order: the temperature, then `top_k`, then `top_p` on what `top_k` left.

    Attributes:
        prompt: text to continue. Without any, a document begins.
        tokens: most tokens to generate.
        temperature: 1 draws from the model's own distribution, less is bolder in what is
            likely, 0 always takes the likeliest.
        top_k: draw from this many likeliest tokens alone; 0: from all.
        top_p: draw from the likeliest tokens alone that together have at least this
            probability (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751); 1: from all.
        seed: of the draws. The draw of token `i` of sample `s` depends on `(seed, s, i)` alone.
        stop: texts; the generated text ends before the first that is complete.

    Raises:
        OptionError: an option breaks its rule.
    """

    prompt: str = ""
    tokens: int = 500
    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_int(self, 0, "tokens", "top_k", "seed")
        for name in ("tokens", "top_k", "seed"):
            if getattr(self, name) > _LARGEST:
                raise OptionError(
                    f"`{name}` must be below 2**31, got {getattr(self, name)}; change --{name}"
                )
        finite = math.isfinite(self.temperature)
        check_number(
            "temperature",
            self.temperature,
            "at least 0 and finite",
            finite and self.temperature >= 0,
        )
        check_number("top_p", self.top_p, "above 0 and at most 1 (1: all)", 0 < self.top_p <= 1)
        if isinstance(self.stop, str):
            raise OptionError(f"`stop` must be a tuple of texts, got the text {self.stop!r}")
        object.__setattr__(self, "stop", tuple(self.stop))
        if "" in self.stop:
            raise OptionError("`stop` must not be empty; give a text with --stop, or leave it out")
