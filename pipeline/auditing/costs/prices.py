"""Prices of a store, from a file of the user's: none of any vendor's are known here."""

import dataclasses
import math
import os
import tomllib

from pipeline.errors import UserError
from pipeline.files import COUNTED, Requests, os_errors_name, read_text
from pipeline.parsing import near_miss

# What a price is for -> the fields that may hold it, and for how many it is there.
_FIELDS = {
    "write": {"writes_per_1000": 1_000, "writes_per_10000": 10_000},
    "read": {"reads_per_1000": 1_000, "reads_per_10000": 10_000},
    "stored_byte": {"month_per_gb": 10**9, "month_per_gib": 2**30},
    "out_byte": {"out_per_gb": 10**9, "out_per_gib": 2**30},
}
_TEXTS = ("scheme", "currency")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of one of each, in units of a currency.

    Attributes:
        scheme: of the URIs of the store, for each library asks in its own way.
        currency: its name.
        write: a request of class A.
        read: a request of class B.
        stored_byte: a byte that lies there for a month.
        out_byte: a byte that leaves the store.
    """

    scheme: str
    currency: str
    write: float
    read: float
    stored_byte: float
    out_byte: float

    def of(self, requests: Requests) -> float:
        """The price of some requests and of the bytes that they bring; removals are free."""
        return (
            requests.writes * self.write
            + requests.reads * self.read
            + requests.out_bytes * self.out_byte
        )


def read_prices(path: str | os.PathLike[str]) -> Prices:
    """Reads a file of prices: TOML, as docs/stores.md says.

    Raises:
        UserError: it is none; it says which field, the rule and what is there.
        OSError: it cannot be read.
    """
    try:
        with os_errors_name(path):
            values = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError, too
        raise UserError(f"{path} must be TOML in UTF-8: {error}") from error
    known = [*_TEXTS, *(name for fields in _FIELDS.values() for name in fields)]
    for name in values:
        if name not in known:
            near = near_miss(name, known)
            raise UserError(
                f"{path}: there is no field `{name}`; "
                + (f"did you mean `{near}`?" if near else f"known are {', '.join(known)}")
            )
    scheme, currency = values.get("scheme"), values.get("currency", "")
    if scheme not in COUNTED:
        rule = ", ".join(map(repr, COUNTED))
        raise UserError(f"{path}: `scheme` must be one of {rule}, {_got_text(values, 'scheme')}")
    if not isinstance(currency, str):
        raise UserError(f"{path}: `currency` must be a text, got {currency!r}")
    prices = {name: _price(path, values, fields) for name, fields in _FIELDS.items()}
    return Prices(scheme=scheme, currency=currency, **prices)


def _price(
    path: str | os.PathLike[str], values: dict[str, object], fields: dict[str, int]
) -> float:
    """The price of one, from the field that has it."""
    given = [name for name in fields if name in values]
    if len(given) != 1:
        raise UserError(
            f"{path}: there must be one of `{'` and `'.join(fields)}`, got "
            f"{'both' if given else 'none'}; 0 is a price, too"
        )
    value = values[given[0]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise UserError(f"{path}: `{given[0]}` must be a number of at least 0, got {value!r}")
    return float(value) / fields[given[0]]  # type: ignore[arg-type]


def _got_text(values: dict[str, object], name: str) -> str:
    return f"got {values[name]!r}" if name in values else "and is missing"
