"""A health document as the output of a Nagios plugin.

Format: https://nagios-plugins.org/doc/guidelines.html, one summary line with performance data
behind a bar, then one line per check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.cli.document import items, mapping, number, text
from vitald.cli.terminal.health import code_of
from vitald.cli.terminal.text import escape
from vitald.cli.terminal.units import Unit, unit_of

if TYPE_CHECKING:
    from vitald.cli.document import Document

WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_UNITS = {Unit.SECONDS: "s", Unit.MILLISECONDS: "ms", Unit.PERCENT: "%", Unit.BYTES: "B"}


def report(document: Document) -> str:
    """Write a health document; a bar or a control in a message cannot pose as performance data."""
    checks = items(document.get("checks"))
    bad = [check for check in checks if code_of(check)]
    if bad:
        said = "; ".join(f"{text(check.get('name'))}: {_reason(check)}" for check in bad)
    else:
        said = f"{len(checks)} of {len(checks)} checks healthy" if checks else "no checks"
    head = f"VITALD {WORDS[code_of(document)]} - {_clean(said)}"
    data = " ".join(_data(checks))
    lines = [f"{head} | {data}" if data else head]
    lines += [
        f"{WORDS[code_of(check)]} {_clean(text(check.get('name')))}: {_clean(_reason(check))}"
        for check in checks
    ]
    return "\n".join(lines) + "\n"


def failure(cause: str) -> str:
    """Write what a plugin prints that could not find out."""
    return f"VITALD UNKNOWN - {_clean(cause)}\n"


def _reason(check: Document) -> str:
    return text(check.get("message")) or text(check.get("label")) or text(check.get("status"))


def _data(checks: list[Document]) -> list[str]:
    data = []
    for check in checks:
        name = text(check.get("name"))
        took = number(check.get("duration_seconds"))
        if took is not None:
            data.append(f"{_label(f'{name}_time')}={took:.6f}s")
        for key, reading in mapping(check.get("observations")).items():
            value = number(reading)
            if value is not None:
                unit = _UNITS.get(unit_of(key.partition("{")[0]), "")
                data.append(f"{_label(f'{name}.{key}')}={_decimal(value)}{unit}")
    return data


def _decimal(value: float) -> str:
    # Performance data knows digits and a point, no exponent.
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _label(name: str) -> str:
    # A label holds neither an equals sign nor a quote that is not doubled.
    return "'" + _clean(name).replace("=", ":").replace("'", "''") + "'"


def _clean(words: str) -> str:
    return escape(words).replace("|", "/")
