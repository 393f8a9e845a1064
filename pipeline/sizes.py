"""Numbers of things, bytes and seconds, for people."""


def count_text(number: int, name: str, *, width: int = 0) -> str:
    """A number of things: 1, "source" -> "1 source"; 1234, "file" -> "1,234 files".

    Args:
        number: how many.
        name: of one, whose plural ends in s.
        width: of the number, in columns of a table, where a missing s leaves its space.
    """
    end = "s" if number != 1 else " " if width else ""
    return f"{number:>{width},} {name}{end}"


def size_text(num_bytes: float) -> str:
    """Bytes in decimal units and three digits, as disks are sold: 1234567 -> "1.23 MB"."""
    units = iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while num_bytes >= 999.5 and unit != "PB":
        num_bytes, unit = num_bytes / 1000, next(units)
    return f"{num_bytes:.3g} {unit}"


def time_text(seconds: float) -> str:
    """Seconds in the two largest units: 3725 -> "1 h 2 min"."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
