"""What paths name, for people: how many sources of which format, and what is left out of them."""

import os
from collections import Counter

from pipeline.layout.manifest import Manifest
from pipeline.sizes import count_text, size_text
from pipeline.text.formats import PlainText
from pipeline.text.pieces import Source
from pipeline.text.sources import Found

_NUM_SHOWN = 3


def found_text(found: Found) -> str:
    """Returns the sources by their formats, and what is left out, and why."""
    num_bytes = sum(source.source_bytes for source in found.sources)
    formats = Counter(map(_format_text, found.sources))
    shown = ", ".join(f"{count:,} {name}" for name, count in formats.most_common())
    lines = [f"{count_text(len(found.sources), 'source')}, {size_text(num_bytes)}: {shown}"]
    for why, paths in found.left_out.items():
        names = [_name_text(path) for path in paths[:_NUM_SHOWN]]
        names += ["…"] if len(paths) > _NUM_SHOWN else []
        lines.append(f"left out: {len(paths):,} {why}: {', '.join(names)}")
    return "\n".join(lines)


def skipped_lines(manifest: Manifest) -> list[str]:
    """Returns how many bad rows were skipped, and the first of them; nothing for none."""
    if not manifest.skipped:
        return []
    lines = [
        f"skipped: {manifest.num_skipped:,} bad rows of {len(manifest.skipped):,} sources "
        "(`--on_bad_row skip`), such as"
    ]
    for skipped in manifest.skipped[:_NUM_SHOWN]:
        name = manifest.sources[skipped.source_index].name
        places = [f"{unit} {position} ({why})" for position, unit, why in skipped.first]
        places = places[:_NUM_SHOWN] + (["…"] if skipped.num_rows > _NUM_SHOWN else [])
        lines.append(f"  {name}: {skipped.num_rows:,}: {', '.join(places)}")
    return lines


def _name_text(path: str) -> str:
    return f"{os.path.basename(path[:-1])}/" if path.endswith("/") else os.path.basename(path)


def _format_text(source: Source) -> str:
    written = source.format
    if isinstance(written, PlainText) and written.binary:
        return f"{written.binary}, byte by byte"
    return f"{written.title} ({written.compression})" if written.compression else written.title
