"""What clients claim to have sent, held against what of it arrived: in words, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.cli.document import age, items, mapping, number, text
from vitald.cli.terminal.table import Cell, Column, Line, Table, line
from vitald.cli.terminal.units import Unit, human

if TYPE_CHECKING:
    from vitald.cli.document import Document

# Rows of the table; the document has all clients.
MOST = 20
# Shares below this are not zero, and would be written so.
_LEAST_PERCENT = 0.1


def sentences(ledger: Document, most: int) -> list[Line]:
    """Say in words what was lost: in all, and by the worst `most` clients."""
    total = mapping(ledger.get("clients_total"))
    count = number(total.get("clients"))
    if not count:
        return []
    who = "1 client" if count == 1 else f"{human(count)} clients"
    losers = [entry for entry in _worst(ledger) if number(entry.get("lost"))][:most]
    said = [] if count == 1 and losers else [_sentence(who, total)]
    return said + [_sentence(text(entry.get("client")), entry) for entry in losers]


def table(ledger: Document) -> Table:
    """Lay out the clients, those that lost the most first."""
    entries = _worst(ledger)
    title = f"CLIENTS: the worst {MOST} of {human(len(entries))}" if len(entries) > MOST else ""
    columns = [
        Column("CLIENT"),
        Column("CLAIMED", right=True),
        Column("RECEIVED", right=True),
        Column("LOST", right=True),
        Column("DROPPED BY ITSELF", right=True),
        Column("LAST SEEN", right=True, spare=1),
    ]
    now = ledger.get("time")
    return Table(columns, [_row(entry, now) for entry in entries[:MOST]], title)


def _row(entry: Document, now: object) -> list[Cell]:
    lost, dropped = entry.get("lost"), _dropped(entry)
    return [
        Cell(text(entry.get("client"))),
        Cell(human(entry.get("claimed"))),
        Cell(human(entry.get("received"))),
        Cell(human(lost), "bad" if number(lost) else ""),
        Cell(human(dropped), "bad" if dropped else ""),
        Cell(age(entry.get("last_seen"), now)),
    ]


def _sentence(who: str, sums: Document) -> Line:
    lost, claimed = number(sums.get("lost")), number(sums.get("claimed"))
    if not lost:
        return line(f"{who}: {human(claimed)} samples, ", Cell("none lost on the way", "good"))
    share = f" ({_share(lost, claimed)})" if claimed else ""
    of = f"{human(lost)} of {human(claimed)} samples "
    return line(f"{who}: {of}", Cell(f"lost on the way{share}", "bad"))


def _share(lost: float, claimed: float) -> str:
    percent = 100 * lost / claimed
    if percent < _LEAST_PERCENT:
        return f"under {human(_LEAST_PERCENT, Unit.PERCENT)}"
    return human(percent, Unit.PERCENT)


def _worst(ledger: Document) -> list[Document]:
    """Return the clients, those that lost the most first, then those that dropped the most."""
    return sorted(
        items(ledger.get("clients")),
        key=lambda entry: (-(number(entry.get("lost")) or 0.0), -_dropped(entry)),
    )


def _dropped(entry: Document) -> float:
    reasons = mapping(entry.get("dropped")).values()
    return sum(number(samples) or 0.0 for samples in reasons)
