"""Faults: where, which key, what is wrong; and the order in which people read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vitald.config.units import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A key's place in the file: names of sections and keys, numbers of list items.
Path = tuple["str | int", ...]

_MOST_SHOWN = 100
_LONGEST = 1000
_PLAIN_KEY = re.compile(r"[\w-]{1,60}")


class Position(NamedTuple):
    """A place in the file; both numbers count from 1, columns in characters."""

    line: int
    column: int


class Fault(NamedTuple):
    """One thing that is wrong, or worth a warning."""

    at: Position
    path: Path
    message: str


def render(file: str, faults: Iterable[Fault]) -> list[str]:
    """Return `file:line:column: key: message` lines, in the order of the file, each once."""
    lines: dict[str, None] = {}
    for fault in sorted(faults, key=lambda fault: fault.at):
        key = dotted(fault.path)
        text = fault.message[:_LONGEST]
        message = printable(f"{key}: {text}" if key else text)
        lines[f"{printable(file)}:{fault.at.line}:{fault.at.column}: {message}"] = None
    shown = list(lines)
    if len(shown) > _MOST_SHOWN:
        rest = len(shown) - _MOST_SHOWN
        shown[_MOST_SHOWN:] = [f"{printable(file)}: and {rest} more"]
    return shown


def dotted(path: Sequence[str | int]) -> str:
    """Return a key as messages name it: `checks.api.warning`, `listen[0].url`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            name = printable(part) if len(part) <= 60 else f"{printable(part[:59])}…"
            text += f'."{name}"' if text else f'"{name}"'
    return text
