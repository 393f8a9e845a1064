"""What a corpus to be costs in a store: for people, and for programs."""

import dataclasses
from typing import Any

from pipeline.auditing.costs.epochs import Bounds, EpochRequests, requests_of_epoch
from pipeline.auditing.costs.preparing import requests_of_prepare
from pipeline.auditing.costs.prices import Prices
from pipeline.auditing.estimate import Estimate
from pipeline.files import Requests
from pipeline.layout.records import file_bytes
from pipeline.reading.geometry import Windows
from pipeline.sizes import count_text, size_text
from pipeline.vocabulary.base import token_dtype


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """What a corpus asks of a store.

    Attributes:
        prices: of the store.
        prepare: to prepare it there, in one go.
        stored_bytes: of its shards.
        epochs: split -> an epoch of it, for those that have windows; empty without a `Windows`.
        is_exact: the tokens that all is counted from are no estimate.
    """

    prices: Prices
    prepare: Requests
    stored_bytes: int
    epochs: dict[str, EpochRequests]
    is_exact: bool


def costs_of(
    result: Estimate, prices: Prices, *, record_tokens: int, windows: Windows | None, hosts: int
) -> Costs:
    """Counts what the corpus of an estimate asks of a store."""
    itemsize = token_dtype(result.vocabulary_size).itemsize
    sizes = [
        file_bytes(tokens, record_tokens=record_tokens, itemsize=itemsize)
        for split in result.splits.values()
        for tokens in split.shard_tokens
    ]
    epochs = {
        name: requests_of_epoch(
            split.shard_tokens,
            windows,
            itemsize=itemsize,
            record_tokens=record_tokens,
            hosts=hosts,
        )
        for name, split in result.splits.items()
        if windows is not None
    }
    return Costs(
        prices=prices,
        prepare=requests_of_prepare(prices.scheme, sizes),
        stored_bytes=sum(sizes),
        epochs={name: epoch for name, epoch in epochs.items() if epoch is not None},
        is_exact=result.is_exact,
    )


def costs_text(costs: Costs) -> str:
    """Returns costs for people."""
    prices = costs.prices
    about = "" if costs.is_exact else "about "
    month = costs.stored_bytes * prices.stored_byte
    lines = [
        f"in a store of {prices.scheme}://, where nothing fails, reading the sources left out:",
        f"prepare: {about}{count_text(costs.prepare.writes, 'write')}, "
        f"{count_text(costs.prepare.reads, 'read')}: {_price_text(prices, costs.prepare)}",
        f"storage: {about}{size_text(costs.stored_bytes)}: {money_text(prices, month)} a month",
    ]
    for name, epoch in costs.epochs.items():
        lines += [
            f"the first epoch of {name}, into a cache: {about}{_bounds_text(prices, epoch.first)}",
            f"a later one, from the cache: {about}{_requests_text(epoch.later)}: "
            f"{_price_text(prices, epoch.later)}",
            f"one without a cache: {about}{_bounds_text(prices, epoch.uncached)}",
        ]
    return "\n".join(lines)


def costs_values(costs: Costs) -> dict[str, Any]:
    """Returns costs for programs."""
    prices = costs.prices

    def bounds(found: Bounds) -> dict[str, Any]:
        return {"least": values(found.least), "most": values(found.most)}

    def values(requests: Requests) -> dict[str, Any]:
        return {**dataclasses.asdict(requests), "price": prices.of(requests)}

    return {
        "scheme": prices.scheme,
        "currency": prices.currency,
        "prepare": values(costs.prepare),
        "stored_bytes": costs.stored_bytes,
        "month_price": costs.stored_bytes * prices.stored_byte,
        "epochs": {
            name: {
                "first": bounds(epoch.first),
                "later": values(epoch.later),
                "uncached": bounds(epoch.uncached),
            }
            for name, epoch in costs.epochs.items()
        },
    }


def _bounds_text(prices: Prices, bounds: Bounds) -> str:
    least, most = bounds.least, bounds.most
    return (
        f"{least.reads:,} to {count_text(most.reads, 'read')}, {size_text(least.out_bytes)} to "
        f"{size_text(most.out_bytes)} read out: {_amount_text(prices.of(least))} to "
        f"{_price_text(prices, most)}"
    )


def _requests_text(requests: Requests) -> str:
    return f"{count_text(requests.reads, 'read')}, {size_text(requests.out_bytes)} read out"


def _price_text(prices: Prices, requests: Requests) -> str:
    return money_text(prices, prices.of(requests))


def money_text(prices: Prices, amount: float) -> str:
    """Returns an amount of the currency of some prices, for people."""
    return f"{_amount_text(amount)} {prices.currency}".rstrip()


def _amount_text(amount: float) -> str:
    """Two decimal places, or two digits of what is less than a hundredth or so."""
    if amount >= 0.1 or amount == 0:
        return f"{amount:,.2f}"
    digits = f"{amount:.1e}"
    places = 1 - int(digits.partition("e")[2])
    return f"{amount:.{places}f}" if places <= 6 else "less than 0.000001"
