"""Durations, sizes and percents, read and written the way people write them.

Every reader takes a text or a number and raises ValueError with a message that ends a sentence
begun by the place of the value: `"10x" is no duration: write it like 10s, 200ms, 5m or 1h`.
Writing and reading again gives exactly the same number (durations from a nanosecond on).
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite

_SECONDS = {
    "us": Decimal("0.000001"),
    "µs": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "PB": 10**15,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "PiB": 2**50,
}
# Longer than anything that is measured or awaited here; keeps sums of times far from overflow.
MAX_DURATION = 100 * 366 * 86400.0
MAX_SIZE = 2**63 - 1

_NUMBER = r"(?:\d{1,19}(?:\.\d{0,30})?|\.\d{1,30})"
_PART = re.compile(rf"({_NUMBER})\s?(us|µs|ms|s|m|h|d|w)", re.ASCII)
_DURATION = re.compile(rf"(?:{_NUMBER}\s?(?:us|µs|ms|s|m|h|d|w)\s?)+", re.ASCII)
_PLAIN = re.compile(_NUMBER, re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s?([A-Za-z]*)", re.ASCII)
_PERCENT = re.compile(rf"({_NUMBER})\s?%?", re.ASCII)


def read_duration(value: object) -> float:
    """Return seconds: `10s`, `200ms`, `1h30m`, or a number of seconds."""
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        seconds = _sum_of_parts(value.strip())
    if seconds is None:
        raise ValueError(f"{quoted(value)} is no duration: write it like 10s, 200ms, 5m or 1h")
    if seconds < 0:
        raise ValueError(f"{quoted(value)} is no duration: it must not be negative")
    if seconds > MAX_DURATION:
        raise ValueError(f"{quoted(value)} is no duration: it is longer than a hundred years")
    return float(seconds)


def read_size(value: object) -> int:
    """Return bytes: `64KiB` (1024), `10MB` (1000), or a whole number of bytes."""
    size = _number(value)
    if size is None and isinstance(value, str):
        size = _sized(value.strip())
    if size is None:
        raise ValueError(f"{quoted(value)} is no size: write it like 64KiB, 10MB or 4096")
    if size < 0:
        raise ValueError(f"{quoted(value)} is no size: it must not be negative")
    if size > MAX_SIZE:
        raise ValueError(f"{quoted(value)} is no size: it is more than 2^63 bytes")
    if isinstance(value, (int, float)) and size != int(size):
        raise ValueError(f"{quoted(value)} is no size: bytes are whole")
    return int(size)


def read_percent(value: object) -> float:
    """Return a percentage, 0 to 100: `80%` or 80."""
    percent = _number(value)
    if percent is None and isinstance(value, str):
        match = _PERCENT.fullmatch(value.strip())
        percent = Decimal(match[1]) if match else None
    if percent is None:
        raise ValueError(f"{quoted(value)} is no percentage: write it like 80%")
    if not 0 <= percent <= 100:
        raise ValueError(f"{quoted(value)} is no percentage: it must be from 0% to 100%")
    return float(percent)


def write_duration(seconds: float) -> str:
    """Write seconds with the largest unit that keeps the number whole: `90s`, `1h`, `200ms`."""
    exact = Decimal(repr(float(seconds)))
    for unit in ("d", "h", "m", "s", "ms", "us"):
        number = exact / _SECONDS[unit]
        if exact and number == int(number):
            return f"{int(number)}{unit}"
    return f"{exact:f}s" if exact else "0s"


def write_size(size: int) -> str:
    """Write bytes with the largest binary or decimal unit that keeps the number whole."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def write_percent(percent: float) -> str:
    """Write a percentage: `80%`, `99.5%`."""
    return f"{Decimal(repr(float(percent))).normalize():f}%"


def quoted(value: object, limit: int = 60) -> str:
    """Return a scalar as a message shows it: quoted, bounded, without control characters."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "a section"
    text = printable(str(value))
    return f'"{text}"' if len(text) <= limit else f'"{text[: limit - 1]}…"'


def printable(text: str) -> str:
    """Escape what a terminal would act on: a file is not trusted until it is read."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return Decimal(repr(float(value))) if isinstance(value, float) else Decimal(int(value))


def _sum_of_parts(text: str) -> Decimal | None:
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if len(text) > 80 or not _DURATION.fullmatch(text):
        return None
    return sum((Decimal(n) * _SECONDS[unit] for n, unit in _PART.findall(text)), Decimal(0))


def _sized(text: str) -> Decimal | None:
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    unit = match[2]
    if unit.lower() in {"k", "m", "g", "t", "p"}:
        letter = unit.upper()
        small = "kB" if letter == "K" else f"{letter}B"
        raise ValueError(
            f"{quoted(text)} is no size: {letter} may mean 1000 or 1024: "
            f"write {match[1]}{letter}iB or {match[1]}{small}"
        )
    factor = 1 if not unit else _BYTES.get(unit)
    return None if factor is None else Decimal(match[1]) * factor
