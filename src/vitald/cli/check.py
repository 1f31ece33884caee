"""`vitald check`: one check, run now, with everything about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vitald.cli.options import Settings, asks, complete_from_sidecar, format_option, shows

if TYPE_CHECKING:
    from vitald.cli.control import Sidecar
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

# The sidecar ends a run at the check's own time-out and any answer after 60 s.
RUN_TIMEOUT = 65.0


@click.command(short_help="Run one check now and show everything about it.")
@click.argument("name", shell_complete=complete_from_sidecar("/v1/health", "checks"))
@format_option("table", "json")
@shows
@asks
def command(settings: Settings, *, name: str, output: str) -> None:
    """Run the check NAME now and show everything about it.

    The run counts like any other: its result enters the status, its numbers the metrics.
    """
    from vitald.cli.control import quoted
    from vitald.cli.terminal.output import copy, show
    from vitald.errors import UsageError

    sidecar = settings.sidecar()
    sidecar.awake()
    try:
        answer = sidecar.post(f"/v1/checks/{quoted(name)}/run", RUN_TIMEOUT)
    except UsageError as error:
        raise UsageError(f"{error}{_others(sidecar, name)}") from None
    if output == "json":
        copy(answer.chunks())
    else:
        show(blocks(sidecar.parse(answer.body())), settings.screen())


def _others(sidecar: Sidecar, name: str) -> str:
    """Return the end of the message about an unknown check: which one was meant, or all."""
    from vitald.cli.document import items, text
    from vitald.config.suggest import suggestion

    checks = items(sidecar.document("/v1/health").get("checks"))
    names = [text(check.get("name")) for check in checks]
    return "" if name in names else suggestion(name, names, "configured")


def blocks(document: Document) -> list[Block]:
    """Lay the answer to a run out: what the check now stands at, and what this run found."""
    from vitald.cli.document import age, mapping, text, words
    from vitald.cli.terminal.health import observations, status, style_of
    from vitald.cli.terminal.table import Cell, Column, Table, line
    from vitald.cli.terminal.units import Unit, human

    check = mapping(document.get("check")) or document
    found = mapping(document.get("result"))
    rows = [
        [Cell("type"), Cell(text(check.get("type")))],
        [Cell("status"), status(check)],
        [Cell("for"), Cell(age(check.get("since"), document.get("time")))],
        [Cell("flags"), Cell(words(check.get("flags")) or "none")],
        [Cell("message"), Cell(text(check.get("message")), style_of(check))],
        [Cell("took"), Cell(human(check.get("duration_seconds"), Unit.SECONDS))],
    ]
    if found:
        rows += [
            [Cell("this run"), status(found)],
            [Cell("it found"), Cell(text(found.get("message")), style_of(found))],
        ]
    columns = [Column("CHECK"), Column(text(check.get("name")), fold=True)]
    shown: list[Block] = [Table(columns, rows)]
    numbers = observations(found if mapping(found.get("observations")) else check)
    return [*shown, line(), numbers] if numbers.rows else shown
