"""Sections of a document laid out by what their keys say.

The performance sections hold what the machine offers, which differs from one to the next. So the
layout follows the keys: the unit is the key's suffix (`used_bytes`), the head what is left of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.cli.document import items, mapping, tags
from vitald.cli.terminal.table import Cell, Column, Table
from vitald.cli.terminal.units import MISSING, Unit, human, unit_of, unit_suffix

if TYPE_CHECKING:
    from vitald.cli.document import Document


def pairs(title: str, section: Document) -> Table:
    """Lay an object out as names and values; objects in it are flattened, lists left out."""
    flat = _flattened(section)
    names = _heads(list(flat))
    rows = [[Cell(names[key]), value(key, reading)] for key, reading in flat.items()]
    return Table([Column(title), Column("", right=True)], rows)


def listing(title: str, entries: list[Document], plain: Unit = Unit.COUNT) -> Table:
    """Lay a list of objects out, one column per key, in the order of their first appearance.

    `plain` is the unit of numbers whose key names none, but for `count`.
    """
    flat = [_flattened(entry) for entry in entries]
    keys = list(dict.fromkeys(key for entry in flat for key in entry))
    is_text = {key: any(isinstance(entry.get(key), str) for entry in flat) for key in keys}
    names = _heads(keys)
    columns = [
        Column(
            names[key].upper(), right=not is_text[key], fold=is_text[key], spare=max(0, index - 3)
        )
        for index, key in enumerate(keys)
    ]
    rows = [
        [value(key, entry.get(key), Unit.COUNT if key == "count" else plain) for key in keys]
        for entry in flat
    ]
    return Table(columns, rows, title).without_empty_columns(MISSING)


def head(key: str) -> str:
    """Return a key as words, without the unit that its value shows: `read_bytes` is `read`."""
    suffix = unit_suffix(key)
    stem = key.removesuffix("_total").removesuffix(suffix).rstrip("_.") if suffix else key
    return (stem or key).replace("_", " ").replace(".", " ")


def value(key: str, reading: object, plain: Unit = Unit.COUNT) -> Cell:
    """Write one reading in the unit of its key, or in `plain`; null is missing."""
    if isinstance(reading, bool):
        return Cell("yes" if reading else "no")
    if isinstance(reading, str):
        return Cell(reading)
    if key.rpartition("_")[2] == "pid":  # a name that happens to be a number
        return Cell(str(reading)[:20])
    if isinstance(reading, list):
        return Cell(" ".join(value(key, entry, plain).text for entry in reading))
    return Cell(human(reading, unit_of(key) if unit_suffix(key) else plain))


def _heads(keys: list[str]) -> dict[str, str]:
    """Name the keys; two that differ in the unit alone keep it: `usage bytes`, `usage percent`."""
    short = {key: head(key) for key in keys}
    taken = list(short.values())
    return {
        key: name if taken.count(name) == 1 else key.replace("_", " ").replace(".", " ")
        for key, name in short.items()
    }


def _flattened(section: Document, prefix: str = "") -> Document:
    flat: Document = {}
    for key, reading in section.items():
        if key == "tags":
            flat[prefix + key] = tags(reading)
        elif isinstance(reading, dict):
            # One level of nesting is all that a line can show.
            flat.update(
                {f"{prefix}{key}.{inner}": deep for inner, deep in mapping(reading).items()}
                if not prefix
                else {}
            )
        elif not items(reading):
            flat[prefix + key] = reading
    return flat
