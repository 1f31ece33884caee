"""`vitald stats`: the performance of the machine and of the sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vitald.cli.options import Settings, asks, format_option, shows, watches

if TYPE_CHECKING:
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

# The order of the sections; what a newer sidecar adds comes behind them.
SECTIONS = ("cpu", "memory", "disk", "disk_io", "network", "response_times", "process")
ELSEWHERE = frozenset(
    {
        "schema",
        "time",
        "host",
        "version",
        "uptime_seconds",
        "engine",
        "engine_reason",
        "ledger",
        "faults",
    }
)


@click.command(short_help="Show performance of the machine and of the sidecar.")
@watches
@format_option("table", "json")
@shows
@asks
def command(settings: Settings, *, watch: bool, interval: float, output: str) -> None:
    """Show performance: CPU, memory, disks, network, response times, and the sidecar itself."""
    from vitald.cli.terminal.output import copy, show

    sidecar = settings.sidecar()
    if watch:
        from vitald.cli.terminal.live import watch_blocks, watch_copies

        if output == "json":
            watch_copies(lambda: sidecar.get("/v1/stats").body(), interval)
        else:
            watch_blocks(lambda: blocks(sidecar.document("/v1/stats")), interval, settings.screen())
    elif output == "json":
        copy(sidecar.get("/v1/stats").chunks())
    else:
        show(blocks(sidecar.document("/v1/stats")), settings.screen())


def blocks(document: Document) -> list[Block]:
    """Lay a stats document out."""
    from vitald.cli.document import mapping, text
    from vitald.cli.terminal.clients import sentences
    from vitald.cli.terminal.ledger import WORST, balance
    from vitald.cli.terminal.table import Cell, line
    from vitald.cli.terminal.units import Unit, human

    up = human(document.get("uptime_seconds"), Unit.SECONDS)
    host = text(document.get("host"))
    about = f"vitald {text(document.get('version'))}".rstrip() + (f" on {host}" if host else "")
    engine = text(document.get("engine")) or "?"
    shown: list[Block] = [line(Cell(f"{about}, up {up}, engine {engine}", "head"))]
    faults = document.get("faults")
    if isinstance(faults, list):
        shown += [line(Cell(text(fault), "bad")) for fault in faults]
    more = [key for key in document if key not in ELSEWHERE and key not in SECTIONS]
    for key in (*SECTIONS, *more):
        shown += _section(key, document.get(key))
    ledger = mapping(document.get("ledger"))
    return [*shown, line(), balance(ledger), *sentences(ledger, WORST)] if ledger else shown


def _section(key: str, section: object) -> list[Block]:
    from vitald.cli.document import items, mapping
    from vitald.cli.terminal.sections import listing, pairs
    from vitald.cli.terminal.table import line
    from vitald.cli.terminal.units import Unit

    title = key.replace("_", " ").upper()
    # The percentiles in there carry no unit in their names.
    plain = Unit.SECONDS if key == "response_times" else Unit.COUNT
    if items(section):
        return [line(), listing(title, items(section), plain)]
    figures = mapping(section)
    if not figures:
        return []
    shown: list[Block] = [line(), pairs(title, figures)]
    for name, value in figures.items():
        if items(value):
            shown += [line(), listing(f"{title} {name.replace('_', ' ').upper()}", items(value))]
    return shown
