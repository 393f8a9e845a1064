"""`textreel plan`: what a corpus will be, and what it takes, without making it."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from pipeline.auditing.balance import OneSided, amounts_of_plan, one_sided_splits, one_sided_text
from pipeline.auditing.costs.prices import Prices, read_prices
from pipeline.auditing.estimate import Estimate, estimate
from pipeline.commands.costs import Costs, costs_of, costs_text, costs_values
from pipeline.commands.flags import add_corpus_flags, add_json, add_workers
from pipeline.commands.found import found_text
from pipeline.errors import OptionError
from pipeline.options import check_int, from_flags, path_flag
from pipeline.parsing import CommandParser, integer
from pipeline.preparing.engines.local import checked_workers
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import make_plan
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import Windows
from pipeline.sizes import count_text, size_text, time_text
from pipeline.terminal import show, show_json
from pipeline.text.directories import Choice
from pipeline.text.sources import Found, find_sources
from pipeline.text.streams import is_stream


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A plan, and what is asked of it: where a page of other choices begins.

    Attributes:
        estimate: of the corpus.
        record_tokens: tokens of a full record.
        windows: which windows are read.
        batch_size: rows of a batch.
        hosts: that share it.
        prices: of a store.
    """

    estimate: Estimate
    record_tokens: int
    windows: Windows
    batch_size: int
    hosts: int = 1
    prices: Prices | None = None


WriteWhatIf = Callable[[WhatIf, str], int]  # to a file; returns its size


def add_arguments(parser: CommandParser, write_what_if: WriteWhatIf | None = None) -> None:
    """Adds what `plan` takes to its parser.

    Args:
        parser: that of the command.
        write_what_if: makes the page; without it, the command has none.
    """
    add_corpus_flags(parser)
    add_workers(parser)
    parser.add_argument("--seq_len", type=integer, metavar="N", help="count windows of this length")
    parser.add_argument("--stride", type=integer, metavar="N", help="tokens between windows")
    parser.add_argument("--batch_size", type=integer, metavar="N", help="count steps of this many")
    parser.add_argument("--hosts", type=integer, metavar="N", help="hosts that share a batch")
    parser.add_argument(
        "--price",
        type=path_flag,
        metavar="FILE",
        help="a TOML file of a store's prices (docs/stores.md): what the corpus costs there",
    )
    if write_what_if is not None:
        parser.add_argument(
            "--what_if",
            type=path_flag,
            metavar="FILE",
            help="an HTML page: steps, memory, requests and time with other hosts, batches and "
            "strides",
        )
    add_json(parser)
    parser.set_defaults(run=lambda arguments: _run(arguments, write_what_if))


def _run(arguments: argparse.Namespace, write_what_if: WriteWhatIf | None) -> None:
    options = from_flags(PrepareOptions, arguments)
    if options.from_bin is not None:
        raise OptionError(
            "`from_bin` has no plan: `textreel plan` estimates what text becomes, and a file of "
            "ids has as many tokens as ids; prepare it"
        )
    windows, workers = _windows(arguments), checked_workers(arguments.workers)
    prices = None if arguments.price is None else read_prices(arguments.price)
    for source in filter(is_stream, arguments.sources):
        raise OptionError(
            f"`SOURCE` {source} can be read only once; a plan would use it up: give files"
        )
    choice = Choice(glob=arguments.glob, hidden=arguments.hidden)
    found = find_sources(arguments.sources, choice, options.reading)
    if not arguments.json:
        show(found_text(found))
    plan = make_plan(found.sources, options)
    result = estimate(plan, options, workers=workers, windows=windows)
    one_sided = one_sided_splits(amounts_of_plan(plan, options.splits))
    costs = None
    if prices is not None:
        costs = costs_of(
            result,
            prices,
            record_tokens=options.record_tokens,
            windows=windows,
            hosts=arguments.hosts or 1,
        )
    num_bytes = 0
    if write_what_if is not None and arguments.what_if is not None:
        assert windows is not None  # `_windows` asked for them
        asked = WhatIf(
            estimate=result,
            record_tokens=options.record_tokens,
            windows=windows,
            batch_size=arguments.batch_size,
            hosts=arguments.hosts or 1,
            prices=prices,
        )
        num_bytes = write_what_if(asked, arguments.what_if)
    if arguments.json:
        show_json(_values(found, result, one_sided, arguments.batch_size, costs))
        return
    show(estimate_text(result))
    for note in one_sided:
        show(one_sided_text(note))
    if windows:
        show(_training_text(result, windows, arguments.batch_size, arguments.hosts))
    if costs:
        show(costs_text(costs))
    if num_bytes:
        show(f"wrote {arguments.what_if}, {size_text(num_bytes)}")


def _values(
    found: Found,
    result: Estimate,
    one_sided: list[OneSided],
    batch_size: int | None,
    costs: Costs | None,
) -> dict[str, Any]:
    """What `--json` prints."""
    splits = {
        name: {
            # Without a number for each of 100,000 shards, which helps nobody.
            **{key: value for key, value in vars(split).items() if key != "shard_tokens"},
            "steps_per_epoch": None if batch_size is None else split.num_windows / batch_size,
        }
        for name, split in result.splits.items()
    }
    return {
        "num_sources": len(found.sources),
        "left_out": found.left_out,
        **dataclasses.asdict(result),
        "vocabulary_bound": result.vocabulary_bound.strip(),
        "splits": splits,
        "one_sided": [note._asdict() for note in one_sided],
        "costs": None if costs is None else costs_values(costs),
    }


def _windows(arguments: argparse.Namespace) -> Windows | None:
    for needed, option in [
        ("seq_len", "stride"),
        ("seq_len", "batch_size"),
        ("batch_size", "hosts"),
        ("batch_size", "what_if"),
    ]:
        if getattr(arguments, option, None) is not None and getattr(arguments, needed) is None:
            raise OptionError(f"`{option}` says nothing without `--{needed}`; give it too")
    check_int(arguments, 1, "seq_len", "stride", "batch_size", "hosts", or_none=True)
    if arguments.seq_len is None:
        return None
    return Batches(seq_len=arguments.seq_len, stride=arguments.stride).windows


def estimate_text(result: Estimate) -> str:
    """Returns an estimate for people."""
    lines = [f"vocabulary: {result.vocabulary_bound}{result.vocabulary_size:,} ids"]
    for name, split in result.splits.items():
        lines.append(
            f"{name + ':':<12}{count_text(split.num_shards, 'shard', width=7)} "
            f"{count_text(split.num_documents, 'document', width=9)} "
            f"{count_text(split.num_tokens, 'token', width=15)}"
        )
    lines.append(f"tokens: {certainty_text(result)}")
    if result.vocabulary_bound and result.vocabulary_size <= 2**8:
        lines.append("where rare characters make more than 256 ids, the disk space doubles")
    lines.append(
        f"disk: {size_text(result.disk_bytes)}; time: about {time_text(result.seconds)} of "
        f"computing; memory: about {size_text(result.memory_bytes)}"
    )
    return "\n".join(line.rstrip() for line in lines)


def certainty_text(result: Estimate) -> str:
    """Returns how far the tokens of an estimate can be trusted, for people."""
    if result.is_exact:
        return "exact"
    if result.token_error == 0:
        return "exact but for a few: all of the text was read, block by block"
    read = f"{size_text(result.read_bytes)} of {size_text(result.source_bytes)} were read"
    if result.is_least:
        return f"at least; {read}, and what is compressed may hold far more"
    if result.token_error is None:
        return f"about; {read}"
    return f"about, ± {result.token_error:.2%} (95%); {read}"


def _training_text(
    result: Estimate, windows: Windows, batch_size: int | None, hosts: int | None
) -> str:
    lines = []
    for name, split in result.splits.items():
        line = f"{name + ':':<12}{count_text(split.num_windows, 'window')} of "
        line += count_text(windows.num_tokens, "token")
        if split.num_windows == 0:
            line += "; none fits: use a shorter `--seq_len` or prepare more text"
        elif batch_size is not None:
            line += f"; {split.num_windows / batch_size:,.1f} steps an epoch"
        lines.append(line)
    if batch_size is not None and hosts is not None:
        if batch_size % hosts:
            lines.append(
                f"{count_text(batch_size, 'row')} cannot be shared equally by "
                f"{count_text(hosts, 'host')}; a batch of "
                f"{-(-batch_size // hosts) * hosts} can"
            )
        else:
            lines.append(f"{count_text(batch_size // hosts, 'row')} a host")
    return "\n".join(lines)
