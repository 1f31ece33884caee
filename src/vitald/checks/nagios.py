"""What a monitoring plugin writes and how it ends, read by the plugin guidelines.

    TEXT | PERFDATA            the first line
    LONG TEXT                  any further lines,
    LONG TEXT | PERFDATA       until one has a bar: all that follows it is performance data
    PERFDATA

Performance data is `'label'=value[UOM];[warn];[crit];[min];[max]`, separated by blanks; a quote
inside a quoted label is doubled, and the value `U` means that it could not be determined.
https://www.monitoring-plugins.org/doc/guidelines.html
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from vitald.status import Status

# A plugin that lists every file of a tree must not fill the series table.
PERFDATA_LIMIT = 256
LABEL_LIMIT = 200

# The bound on a quoted label keeps hostile output from costing quadratic time.
_ITEM = re.compile(r"(?:'((?:[^']|''){1,200})'|([^\s'=]+))=([^\s;]*)(?:;\S*)?(?=\s|$)")
_BLANK = re.compile(r"\s")
_VALUE = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)([^0-9\s]*)")

# UOM -> our unit and the factor to it. Prefixes of bytes are read as written: KB is 1000, KiB 1024.
_UNITS = {
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "µs": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "%": ("percent", 1.0),
    "B": ("bytes", 1.0),
    "c": ("", 1.0),
    "": ("", 1.0),
    **{f"{prefix}B": ("bytes", 1000.0**power) for power, prefix in enumerate("KMGTPE", start=1)},
    **{f"{prefix}iB": ("bytes", 1024.0**power) for power, prefix in enumerate("KMGTPE", start=1)},
}


class Perfdata(NamedTuple):
    """One number of a plugin.

    `value` is in `unit`: `seconds`, `bytes`, `percent`, "" for a plain number, or the plugin's own
    word. None means that the plugin could not determine it.
    """

    label: str
    value: float | None
    unit: str


class Output(NamedTuple):
    """A plugin's output: its first line of text and its numbers, `malformed` ones counted."""

    text: str
    perfdata: tuple[Perfdata, ...]
    malformed: int


def status_of(exit_code: int) -> Status:
    """Return what an exit code means; anything but 0 to 3 says nothing about the service."""
    return Status(exit_code) if 0 <= exit_code <= 3 else Status.UNKNOWN


def parse_output(output: str) -> Output:
    """Split a plugin's standard output into text and performance data. Raises nothing."""
    first, _, rest = output.partition("\n")
    text, _, perfdata = first.partition("|")
    _, _, more = rest.partition("|")
    items, malformed = parse_perfdata(f"{perfdata} {more}")
    return Output(text.strip(), items, malformed)


def parse_perfdata(text: str) -> tuple[tuple[Perfdata, ...], int]:
    """Return the items that can be read, in their order, and how many cannot.

    A repeated label keeps its first value. Items beyond `PERFDATA_LIMIT` count as malformed.
    """
    items: dict[str, Perfdata] = {}
    malformed = position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _ITEM.match(text, position)
        item = _item(match) if match else None
        if item is None or (len(items) >= PERFDATA_LIMIT and item.label not in items):
            malformed += 1
        else:
            items.setdefault(item.label, item)
        position = match.end() if match else _next_blank(text, position)
    return tuple(items.values()), malformed


def _next_blank(text: str, position: int) -> int:
    match = _BLANK.search(text, position)
    return match.start() if match else len(text)


def _item(match: re.Match[str]) -> Perfdata | None:
    quoted, plain, number = match.groups()
    label = quoted.replace("''", "'") if quoted is not None else plain
    if not label.strip() or len(label) > LABEL_LIMIT:
        return None
    if number == "U":
        return Perfdata(label, None, "")
    parts = _VALUE.fullmatch(number)
    if parts is None:
        return None
    unit, factor = _UNITS.get(parts[2], (parts[2], 1.0))
    value = float(parts[1]) * factor
    return Perfdata(label, value, unit) if math.isfinite(value) else None
