"""How a status looks: always a word and a mark, never a colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.cli.document import age, items, mapping, text, words
from vitald.cli.terminal.table import Cell, Column, Line, Table, line
from vitald.cli.terminal.units import MISSING, Unit, human, unit_of

if TYPE_CHECKING:
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

_LOOKS = {
    "healthy": ("✔", "good"),
    "warning": ("▲", "warn"),
    "critical": ("✖", "bad"),
    "unknown": ("?", "warn"),
}


def code_of(entry: Document) -> int:
    """Return a document's or a check's status as 0 to 3; what is no status is unknown."""
    code = entry.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= 3 else 3


def status(entry: Document) -> Cell:
    """Return a mark and the word: the check's own label where it has one."""
    word = text(entry.get("status"))
    mark, style = _LOOKS.get(word, _LOOKS["unknown"])
    return Cell(f"{mark} {text(entry.get('label')) or word or 'unknown'}", style)


def style_of(entry: Document) -> str:
    return _LOOKS.get(text(entry.get("status")), _LOOKS["unknown"])[1]


def summary(document: Document) -> Line:
    """Say in one line how things stand, and which checks are to blame."""
    checks = items(document.get("checks"))
    bad = [text(check.get("name")) for check in checks if code_of(check) != 0]
    head = status(document)
    if not checks:
        return line(head, ": no checks")
    if not bad:
        return line(head, f": {len(checks)} of {len(checks)} checks")
    return line(head, f": {', '.join(bad)} ({len(bad)} of {len(checks)} checks)")


def table(document: Document) -> Table:
    """Lay the checks out, the reason beside each status."""
    now = document.get("time")
    columns = [
        Column("CHECK"),
        Column("TYPE", spare=3),
        Column("STATUS"),
        Column("FOR", right=True),
        Column("LAST RUN", right=True, spare=1),
        Column("TOOK", right=True, spare=2),
        Column("FLAGS"),
        Column("MESSAGE", fold=True),
    ]
    rows = [
        [
            Cell(text(check.get("name"))),
            Cell(text(check.get("type")), "dim"),
            status(check),
            Cell(age(check.get("since"), now)),
            Cell(_ago(check.get("last_run"), now)),
            Cell(human(check.get("duration_seconds"), Unit.SECONDS)),
            Cell(words(check.get("flags")), "warn"),
            Cell(text(check.get("message")), style_of(check) if code_of(check) else ""),
        ]
        for check in items(document.get("checks"))
    ]
    return Table(columns, rows).without_empty_columns(MISSING)


def blocks(document: Document) -> list[Block]:
    """Lay a health document out."""
    if not items(document.get("checks")):
        return [summary(document)]
    return [summary(document), line(), table(document)]


def observations(check: Document) -> Table:
    """Lay out the numbers that a check read; one that could not be read is unavailable."""
    rows = []
    for name, value in mapping(check.get("observations")).items():
        unit = unit_of(name.partition("{")[0])
        shown = "unavailable" if value is None else human(value, unit)
        rows.append([Cell(name), Cell(shown, "warn" if value is None else "")])
    return Table([Column("OBSERVATION", fold=True), Column("VALUE", right=True)], rows)


def _ago(then: object, now: object) -> str:
    gone = age(then, now)
    return gone if gone == MISSING else f"{gone} ago"
