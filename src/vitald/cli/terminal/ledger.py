"""The ledger laid out: where every line went, and whether the sum is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.cli.document import items, mapping, number, text
from vitald.cli.terminal import clients
from vitald.cli.terminal.sections import head, listing, pairs
from vitald.cli.terminal.table import Cell, Column, Line, Table, line
from vitald.cli.terminal.units import MISSING, Unit, human

if TYPE_CHECKING:
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

# Clients whose losses are said in words.
WORST = 3


def balance(document: Document) -> Line:
    """Say the ledger's law with its numbers, and whether it holds."""
    rejected, shed = _sum(document.get("rejected")), _sum(document.get("shed"))
    lines, aggregated = number(document.get("lines")), number(document.get("aggregated"))
    law = (
        f"{human(lines)} lines = {human(aggregated)} aggregated "
        f"+ {human(rejected)} rejected + {human(shed)} shed"
    )
    if lines is None or aggregated is None:
        return line(law, Cell("  ? not accounted for", "warn"))
    off = lines - aggregated - rejected - shed
    if off:
        return line(law, Cell(f"  ✖ off by {human(off)}", "bad"))
    return line(law, Cell("  ✔ balanced", "good"))


def losses(document: Document) -> Table:
    """Lay out what was refused, shed or kept with a remark, the largest first."""
    rows = []
    for fate, style in (("rejected", "bad"), ("shed", "bad"), ("notes", "warn")):
        reasons = mapping(document.get(fate)).items()
        for reason, lines in sorted(reasons, key=lambda entry: -(number(entry[1]) or 0)):
            shown = "kept" if fate == "notes" else fate
            rows.append([Cell(shown, style), Cell(reason), Cell(human(lines))])
    return Table([Column("FATE"), Column("REASON"), Column("LINES", right=True)], rows)


def blocks(document: Document) -> list[Block]:
    """Lay a ledger document out."""
    shown: list[Block] = [balance(document), line(), _totals(document)]
    lost = losses(document)
    if lost.rows:
        shown += [line(), lost]
    listeners = [
        {"listener": label, **mapping(traffic)}
        for label, traffic in mapping(document.get("listeners")).items()
    ]
    if listeners:
        shown += [line(), listing("", listeners)]
    reported = mapping(document.get("client_reported"))
    if reported:
        shown += [line(), pairs("REPORTED BY CLIENTS", reported)]
    said = clients.sentences(document, WORST)
    if said:
        shown += [line(), *said, clients.table(document)]
    refused = items(document.get("last_rejected"))
    if refused:
        shown += [line(), _refused(refused)]
    return shown


def _totals(document: Document) -> Table:
    series = mapping(document.get("series"))
    dropped = document.get("kernel_dropped")
    rows = [
        [Cell("datagrams received"), Cell(human(document.get("datagrams_received")))],
        [Cell("bytes received"), Cell(human(document.get("bytes_received"), Unit.BYTES))],
        [Cell("dropped by the kernel"), Cell(human(dropped), "bad" if number(dropped) else "")],
    ]
    rows += [
        [Cell(head(key)), Cell(human(document[key]))]
        for key in ("values", "internal_lines", "late", "events", "service_checks")
        if key in document
    ]
    rows += [
        [Cell("series"), Cell(f"{human(series.get('active'))} of {human(series.get('limit'))}")],
        [
            Cell("overflowed into the overflow series"),
            Cell(
                human(series.get("overflowed")), "warn" if number(series.get("overflowed")) else ""
            ),
        ],
    ]
    return Table([Column("TOTAL"), Column("COUNT", right=True)], rows)


def _refused(entries: list[Document]) -> Table:
    columns = [
        Column("LAST REJECTED"),
        Column("LISTENER"),
        Column("TIMES", right=True),
        Column("LINE", fold=True),
    ]
    rows = [
        [
            Cell(text(entry.get("reason")), "bad"),
            Cell(text(entry.get("listener"))),
            Cell(human(entry.get("times"))),
            Cell(text(entry.get("line"))),
        ]
        for entry in entries
    ]
    return Table(columns, rows).without_empty_columns(MISSING)


def _sum(reasons: object) -> float:
    return sum(number(lines) or 0 for lines in mapping(reasons).values())
