"""Numbers as people read them.

The forms are those of the configuration file (`1.25s`, `340ms`, `64KiB`, `80%`), one word each, so
that columns stay columns. Whole numbers are exact with separators; nothing here is meant to be
parsed: programs ask for JSON or CSV.
"""

from __future__ import annotations

from enum import Enum
from math import isfinite

MISSING = "-"
UNREADABLE = "?"


class Unit(Enum):
    """What a number counts."""

    COUNT = "count"
    BYTES = "bytes"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    PERCENT = "percent"
    BYTES_PER_SECOND = "bytes_per_second"
    PER_SECOND = "per_second"


# The longest suffix that fits decides: `read_bytes_per_second` is no `per_second`.
_SUFFIXES = {
    "bytes_per_second": Unit.BYTES_PER_SECOND,
    "per_second": Unit.PER_SECOND,
    "milliseconds": Unit.MILLISECONDS,
    "seconds": Unit.SECONDS,
    "percent": Unit.PERCENT,
    "bytes": Unit.BYTES,
    "ms": Unit.MILLISECONDS,
}


def unit_suffix(name: str) -> str:
    """Return the part of a name that says its unit (`bytes` of `disk.used_bytes`), or nothing.

    A `_total` after the unit does not hide it, as in `read_bytes_total`.
    """
    stem = name.removesuffix("_total")
    for suffix in _SUFFIXES:
        if stem == suffix or stem.endswith(("_" + suffix, "." + suffix)):
            return suffix
    return ""


def unit_of(name: str, metric_type: str = "") -> Unit:
    """Tell the unit of a metric: a timer's is milliseconds, any other's is in its name."""
    if metric_type == "timer":
        return Unit.MILLISECONDS
    return _SUFFIXES.get(unit_suffix(name), Unit.COUNT)


def human(value: object, unit: Unit = Unit.COUNT) -> str:
    """Write a value of a document: `-` when it is null, `?` when it is no finite number."""
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return UNREADABLE
    try:
        finite = isfinite(value)
    except OverflowError:
        finite = False
    return _WRITERS[unit](value) if finite else UNREADABLE


def count(value: float) -> str:
    """Write a plain number: exact when it is whole, about three digits otherwise."""
    magnitude = abs(value)
    if magnitude >= 1e15:
        return f"{float(value):.3e}"
    if value == int(value):
        return f"{int(value):,}"
    if magnitude >= 1000:
        return f"{value:,.1f}"
    if magnitude >= 0.01:
        return f"{value:,.{_decimals(magnitude)}f}"
    return f"{value:.3g}"


def seconds(value: float, *, whole: bool = False) -> str:
    """Write a duration in seconds: `12.0µs`, `340ms`, `1.25s`, `4m10s`, `3h12m`, `5d4h`.

    `whole` drops what is below a second, for ages.
    """
    magnitude = abs(value)
    if magnitude >= 1e15:
        return f"{float(value):.3e}s"
    if magnitude < 60:
        return f"{value:.0f}s" if whole else _short_time(value)
    sign = "-" if value < 0 else ""
    minutes, rest = divmod(int(magnitude), 60)
    if minutes < 60:
        return f"{sign}{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{sign}{hours}h{minutes:02}m"
    return f"{sign}{hours // 24:,}d{hours % 24}h"


def size(value: float) -> str:
    """Write a number of bytes in binary units: `512B`, `1.50KiB`, `12.3GiB`."""
    amount = float(value)
    if abs(amount) < 1024:
        return f"{count(value)}B"
    for name in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        amount /= 1024
        if abs(amount) < 1024:
            return f"{_short(amount)}{name}"
    return f"{amount / 1024:,.3g}EiB"


def percent(value: float) -> str:
    """Write a percentage with one digit after the point."""
    return f"{value:,.1f}%" if abs(value) < 1e15 else f"{float(value):.3e}%"


def rate(value: float) -> str:
    """Write events per second."""
    return f"{count(value)}/s"


def _short_time(value: float) -> str:
    if value == 0:
        return "0s"
    for limit, factor, name in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if abs(value) < limit:
            return f"{_short(value * factor)}{name}"
    return f"{_short(value)}s"


def _short(value: float) -> str:
    return f"{value:,.{_decimals(abs(value))}f}"


def _decimals(magnitude: float) -> int:
    return 2 if magnitude < 10 else 1 if magnitude < 100 else 0


_WRITERS = {
    Unit.COUNT: count,
    Unit.BYTES: size,
    Unit.SECONDS: seconds,
    Unit.MILLISECONDS: lambda value: seconds(value / 1000),
    Unit.PERCENT: percent,
    Unit.BYTES_PER_SECOND: lambda value: f"{size(value)}/s",
    Unit.PER_SECOND: rate,
}
