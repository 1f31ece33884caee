"""The same blocks drawn with rich, for people at a terminal."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from vitald.cli.terminal.table import Line, Table
from vitald.cli.terminal.text import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitald.cli.terminal.table import Block, Cell

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "dim": "dim", "head": "bold"}


def console(stream: IO[str], *, colour: bool) -> Console:
    """Return a console that adds nothing of its own: no markup, emoji or highlighting."""
    return Console(
        file=stream,
        force_terminal=True,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def draw(blocks: Iterable[Block], width: int) -> Group:
    """Turn blocks into one rich renderable for a screen of `width` cells."""
    drawn: list[RenderableType] = []
    for block in blocks:
        if isinstance(block, Line):
            drawn.append(_line(block))
            continue
        table, gone = block.narrowed(width)
        drawn.append(_table(table))
        if gone:
            drawn.append(Text(f"not shown on this narrow screen: {', '.join(gone)}", style="dim"))
    return Group(*drawn)


def _line(block: Line) -> Text:
    return Text.assemble(*(_text(cell) for cell in block.cells))


def _table(block: Table) -> RenderableType:
    table = RichTable(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
        title=_titled(block.title),
        title_justify="left",
    )
    for column in block.columns:
        table.add_column(
            Text(escape(column.title)),
            justify="right" if column.right else "left",
            no_wrap=not column.fold,
            overflow="fold" if column.fold else "ellipsis",
        )
    for row in block.rows:
        table.add_row(*(_text(cell) for cell in row))
    return table


def _titled(title: str) -> Text | None:
    return Text(escape(title), style="bold") if title else None


def _text(cell: Cell) -> Text:
    return Text(escape(cell.text), style=_STYLES.get(cell.style, ""))
