"""How results are printed: a title, what was done, a table."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 96


class Report(NamedTuple):
    """One topic's result. The first column of `rows` is text; the others stand to the right."""

    title: str
    method: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def render(report: Report) -> str:
    """Return the report as text."""
    table = [report.columns, *report.rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(report.columns))]
    lines = [report.title, "-" * len(report.title), *textwrap.wrap(report.method, WIDTH), ""]
    for number, row in enumerate(table):
        first, *others = (
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    for note in report.notes:
        lines.extend(textwrap.wrap(note, WIDTH, initial_indent="* ", subsequent_indent="  "))
    return "\n".join(lines)


def count(number: float) -> str:
    """Return a whole number with separators: 1,234,567."""
    return f"{number:,.0f}"
