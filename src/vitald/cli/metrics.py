"""`vitald metrics`: the series of a rolling window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vitald.cli.options import (
    Settings,
    asks,
    complete_from_sidecar,
    duration,
    format_option,
    shows,
    tag_option,
    watches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.cli.control import Query
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block, Cell, Table
    from vitald.cli.terminal.units import Unit

TYPES = ("counter", "gauge", "timer", "histogram", "distribution", "set")
QUANTILES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99"}
SORTS = ("name", "count", "rate", "sum", "last", "unique", "mean", "min", "max", *QUANTILES)
# What a narrow screen does without, the largest number first.
SPARE = {"mean": 8, "p50": 7, "max": 6, "count": 5, "p95": 4}
# Formats of which a stream of answers makes sense: one document, or one series, per line.
WATCHED = ("table", "json", "ndjson")


@click.command(short_help="Show the series of a rolling window.")
@click.argument(
    "globs",
    metavar="[GLOB]...",
    nargs=-1,
    shell_complete=complete_from_sidecar("/v1/metrics", "metrics"),
)
@click.option(
    "--window",
    metavar="TIME",
    type=duration,
    help="The rolling window, up to the longest configured (1h).  [default: 1m]",
)
@tag_option("Only series with this tag; the value may be a glob, without one any value will do.")
@click.option("--type", "types", type=click.Choice(TYPES), multiple=True, help="Only this type.")
@click.option("--sort", type=click.Choice(SORTS), help="Sort by this; numbers, the largest first.")
@click.option("--top", metavar="N", type=click.IntRange(min=1), help="Only the first N series.")
@watches
@format_option("table", "json", "ndjson", "csv", "prometheus")
@shows
@asks
def command(
    settings: Settings,
    *,
    globs: Sequence[str],
    window: float | None,
    tags: Sequence[tuple[str, str | None]],
    types: Sequence[str],
    sort: str | None,
    top: int | None,
    watch: bool,
    interval: float,
    output: str,
) -> None:
    """Show the series whose names match any GLOB (all without one), over a rolling window.

    Counters show their sum, gauges their last value, sets how many members were seen, timers,
    histograms and distributions their percentiles. All but the table is the sidecar's own
    rendering, passed on byte by byte.
    """
    if watch and output not in WATCHED:
        raise click.UsageError(f"--watch does not go with -o {output}: use {', '.join(WATCHED)}")
    query = [("name", glob) for glob in globs]
    # A tag without a value asks for the key: any value will do.
    query += [("tag", f"{key}={'*' if value is None else value}") for key, value in tags]
    query += [("type", word) for word in types]
    query += [("window", f"{window:g}")] if window else []
    query += [("sort", sort)] if sort else []
    query += [("top", str(top))] if top else []
    if output == "table":
        if not sort and not top:  # with --top alone the sidecar shows the busiest
            query.append(("sort", "name"))
        _show(settings, query, sort, interval if watch else None)
    else:
        _copy(settings, [*query, ("format", output)], interval if watch else None)


def _copy(settings: Settings, query: Query, interval: float | None) -> None:
    from vitald.cli.terminal.output import copy

    sidecar = settings.sidecar()
    if interval is None:
        copy(sidecar.get("/v1/metrics", query).chunks())
        return
    from vitald.cli.terminal.live import watch_copies

    # Whole answers only: a sidecar that stops in the middle must not leave half a line behind.
    watch_copies(lambda: sidecar.get("/v1/metrics", query).body(), interval)


def _show(settings: Settings, query: Query, sort: str | None, interval: float | None) -> None:
    from vitald.cli.terminal.output import show, talk
    from vitald.cli.terminal.units import Unit, human

    sidecar, screen = settings.sidecar(), settings.screen()
    if interval is not None:
        from vitald.cli.terminal.live import watch_blocks

        def look() -> list[Block]:
            return blocks(sidecar.document("/v1/metrics", query), sort)

        watch_blocks(look, interval, screen)
        return
    document = sidecar.document("/v1/metrics", query)
    shown = blocks(document, sort)
    if shown:
        show(shown, screen)
    else:
        talk("no series matches")
    if document.get("covered_seconds") == 0:
        talk("note: the first interval has not ended yet, ask again in a few seconds")
    elif document.get("complete") is False:
        covered = human(document.get("covered_seconds"), Unit.SECONDS)
        talk(f"note: the window is not full yet, it covers {covered}")


def blocks(document: Document, sort: str | None = None) -> list[Block]:
    """Lay a metrics document out: nothing when it has no series."""
    from vitald.cli.document import items

    rows = items(document.get("metrics"))
    return [table(rows, sort)] if rows else []


def table(rows: list[Document], sort: str | None = None, title: str = "") -> Table:
    """Lay series out; columns that say nothing about any of them are left out."""
    from vitald.cli.terminal.table import Column, Table
    from vitald.cli.terminal.units import MISSING

    statistics = ["mean", "p50", "p95", "p99", "max"]
    if sort in {"min", "p90"}:
        statistics.insert(0 if sort == "min" else 2, sort)
    heads = [Column("METRIC", fold=True), Column("TAGS", fold=True), Column("TYPE", spare=9)]
    for head in ("count", "rate", "value", *statistics):
        spare = 0 if head == sort else SPARE.get(head, 0)
        heads.append(Column(head.upper(), right=True, spare=spare))
    cells = [_cells(row, statistics) for row in rows]
    return Table(heads, cells, title).without_empty_columns(MISSING)


def _cells(row: Document, statistics: Sequence[str]) -> list[Cell]:
    from vitald.cli.document import mapping, tags, text
    from vitald.cli.terminal.table import Cell
    from vitald.cli.terminal.units import MISSING, Unit, human, unit_of

    kind = text(row.get("type"))
    unit = unit_of(text(row.get("name")), kind)
    quantiles = mapping(row.get("quantiles"))
    # The mean of increments or the largest member of a set answers no question.
    told = set(statistics) if quantiles else {"min", "max"} if kind == "gauge" else set()
    return [
        Cell(text(row.get("name"))),
        Cell(tags(row.get("tags")), "dim"),
        Cell(kind),
        Cell(human(row.get("count"))),
        Cell(human(row.get("rate"), Unit.PER_SECOND)),
        _value_cell(row, kind, Unit.COUNT if kind == "set" else unit),
        *(
            Cell(human(_statistic(row, quantiles, key), unit) if key in told else MISSING)
            for key in statistics
        ),
    ]


def _statistic(row: Document, quantiles: Document, key: str) -> object:
    return quantiles.get(QUANTILES[key]) if key in QUANTILES else row.get(key)


def _value_cell(row: Document, kind: str, unit: Unit) -> Cell:
    from vitald.cli.terminal.table import Cell
    from vitald.cli.terminal.units import human

    value = _value(row, kind)
    if kind == "gauge" and value is None:
        return Cell("unavailable", "warn")  # its check cannot read it at present
    return Cell(human(value, unit))


def _value(row: Document, kind: str) -> object:
    return row.get({"counter": "sum", "gauge": "last", "set": "unique"}.get(kind, ""))
