"""`vitald doctor`: what on this machine keeps a sidecar from working well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vitald.cli.options import Settings, asks, config_option, format_option, shows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vitald.cli.probes import Finding
    from vitald.cli.terminal.table import Block

STATUSES = ("healthy", "warning", "critical", "unknown")


@click.command(short_help="Look for what keeps a sidecar from working well.")
@config_option
@format_option("table", "json")
@shows
@asks
def command(settings: Settings, *, config: Path | None, output: str) -> int:
    """Look for what keeps a sidecar from working well, and say what to do about it.

    Configuration, control socket and its permissions, engine, listening addresses, receive
    buffers, drivers of the configured checks, clock. It changes nothing.

    Exit code: 0 nothing found, 1 warnings, 2 something is broken.
    """
    from vitald.cli.probes import examine
    from vitald.cli.terminal.output import show, write

    findings = examine(config, settings.socket)
    if output == "json":
        import json

        entries = [finding.document() for finding in findings]
        write(json.dumps({"schema": "vitald.doctor/1", "findings": entries}) + "\n")
    else:
        show(blocks(findings), settings.screen())
    return max(finding.code for finding in findings)


def blocks(findings: Sequence[Finding]) -> list[Block]:
    """Lay the findings out, the cure below each trouble."""
    from vitald.cli.terminal.health import status
    from vitald.cli.terminal.table import Cell, Column, Table

    labels = ("fine", "warning", "broken")
    rows = []
    for finding in findings:
        entry = {"status": STATUSES[finding.code], "label": labels[finding.code]}
        rows.append([Cell(finding.subject), status(entry), Cell(finding.text)])
        if finding.cure:
            rows.append([Cell(""), Cell(""), Cell(f"→ {finding.cure}", "head")])
    columns = [Column("SUBJECT"), Column("STATUS"), Column("FINDING", fold=True)]
    return [Table(columns, rows)]
