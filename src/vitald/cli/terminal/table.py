"""What commands print: lines and tables, and their plain form.

A command builds blocks and never formats for a device. `plain` writes them as aligned text, for
pipes, dumb terminals and very long tables; `vitald.cli.terminal.boxes` draws the same blocks with
rich.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vitald.cli.terminal.text import escape, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Stands between two columns.
GAP = "  "
# Cells in which wrapped text is still pleasant to read.
FOLDED = 40
# Style words and their SGR codes; `boxes` has the same words for rich.
SGR = {"good": "32", "warn": "33", "bad": "1;31", "dim": "2", "head": "1"}


class Cell(NamedTuple):
    """Some text in one style."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column's title; `right` aligns numbers.

    On a narrow screen columns that are `spare` are left out, the largest number first, and after
    that text that may `fold` is wrapped.
    """

    title: str
    right: bool = False
    fold: bool = False
    spare: int = 0


class Line(NamedTuple):
    """One line of text."""

    cells: Sequence[Cell]


class Table(NamedTuple):
    """Rows under columns; every row has one cell per column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""

    def without_empty_columns(self, empty: str) -> Table:
        """Drop the columns in which every cell is blank or `empty`."""
        kept = [
            index
            for index in range(len(self.columns))
            if any(row[index].text not in {"", empty} for row in self.rows)
        ]
        return self._only(kept)

    def narrowed(self, cells: int) -> tuple[Table, list[str]]:
        """Leave spare columns out until the table fits; return it with their titles."""
        widths = self._widths()
        kept = list(range(len(self.columns)))
        spare = sorted(kept, key=lambda index: -self.columns[index].spare)
        gone = []
        for index in spare:
            taken = sum(widths[each] for each in kept) + len(GAP) * (len(kept) - 1)
            if taken <= cells or not self.columns[index].spare:
                break
            kept.remove(index)
            gone.append(self.columns[index].title)
        return (self._only(kept) if gone else self), gone

    def _widths(self) -> list[int]:
        """Measure the columns; text that may fold asks for no more than `FOLDED` cells."""
        texts = [[column.title for column in self.columns]]
        texts += [[escape(cell.text) for cell in row] for row in self.rows]
        widths = [max(map(width, column)) for column in zip(*texts, strict=True)]
        return [
            min(taken, FOLDED) if column.fold else taken
            for column, taken in zip(self.columns, widths, strict=True)
        ]

    def _only(self, kept: Sequence[int]) -> Table:
        return Table(
            [self.columns[index] for index in kept],
            [[row[index] for index in kept] for row in self.rows],
            self.title,
        )


Block = Line | Table


def line(*cells: str | Cell) -> Line:
    """Build a line; a bare string has no style."""
    return Line([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells])


def plain(blocks: Iterable[Block], *, colour: bool = False) -> Iterator[str]:
    """Yield finished text lines without their line feed."""
    for block in blocks:
        if isinstance(block, Line):
            yield "".join(_styled(escape(cell.text), cell.style, colour) for cell in block.cells)
        else:
            if block.title:
                yield _styled(escape(block.title), "head", colour)
            yield from _aligned(block, colour)


def _aligned(table: Table, colour: bool) -> Iterator[str]:
    columns = table.columns
    if not columns:
        return
    heads = [Cell(column.title, "head") for column in columns]
    rows = [[Cell(escape(text), style) for text, style in row] for row in (heads, *table.rows)]
    measured = [[width(cell.text) for cell in row] for row in rows]
    widths = [max(cells) for cells in zip(*measured, strict=True)]
    for row, taken in zip(rows, measured, strict=True):
        parts = []
        for column, cell, full, used in zip(columns, row, widths, taken, strict=True):
            text, pad = _styled(cell.text, cell.style, colour), " " * (full - used)
            parts.append(pad + text if column.right else text + pad)
        yield GAP.join(parts).rstrip(" ")


def _styled(text: str, style: str, colour: bool) -> str:
    code = SGR.get(style) if colour and text else None
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
