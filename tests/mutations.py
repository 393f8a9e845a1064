"""Mutations of files, from a seed: what a stranger, a bad disk or a bad editor makes of them."""

import json
import random
from collections.abc import Iterator
from typing import Any

# What may stand where a JSON value stood.
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    168,
    2**31,
    2**60,
    2**64,
    0.5,
    1e308,
    "",
    "x",
    "../x",
    "/etc/passwd",
    "\x1b[2J",
    "\ud800",
    [],
    [[]],
    {},
    {"x": 1},
)
RAW = (
    b"[" * 100_000,
    b"9" * 5000,
    b"NaN",
    b"\xff\xfe",
    b"\0",
    b'"',
    b"{",
    b"1e999",
    b",,",
    b"\n\n",
)


def mutated_bytes(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yields files that differ from one in a few bytes, or in length."""
    generator = random.Random(seed)
    for _ in range(count):
        data = bytearray(content)
        for _ in range(generator.choice((1, 1, 1, 2, 5))):
            position = generator.randrange(len(data) + 1)
            kind = generator.randrange(5)
            if kind == 0 and position < len(data):
                data[position] ^= 1 << generator.randrange(8)
            elif kind == 1:
                del data[position : position + generator.choice((1, 2, 10, 10_000))]
            elif kind == 2:
                data[position:position] = generator.choice(RAW)
            elif kind == 3:
                data[position:] = b""
            else:
                data[position:position] = data[: generator.randrange(1, 200)]
        yield bytes(data)


def mutated_json(content: Any, seed: int, count: int) -> Iterator[Any]:
    """Yields JSON values that differ from one in a value somewhere, or in a key."""
    generator = random.Random(seed)
    for _ in range(count):
        copy = json.loads(json.dumps(content))
        for _ in range(generator.choice((1, 1, 2))):
            places = list(_places(copy))
            if not places:
                break
            holder, key = generator.choice(places)
            kind = generator.randrange(4)
            if kind == 0:
                del holder[key]
            elif kind == 1 and isinstance(holder, dict):
                holder[generator.choice(("x", "", key + "x"))] = holder.pop(key)
            elif kind == 2 and isinstance(holder, list):
                holder.append(holder[key])
            else:
                holder[key] = generator.choice(VALUES)
        yield copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs)[:200]:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
