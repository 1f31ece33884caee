"""`vitald export`: everything in one document."""

from __future__ import annotations

import click

from vitald.cli.options import Settings, asks, duration, format_option


@click.command(short_help="Print everything as one JSON document.")
@click.option(
    "--window", metavar="TIME", type=duration, help="The metrics' rolling window.  [default: 1m]"
)
@format_option("json")
@asks
def command(settings: Settings, *, window: float | None, output: str) -> None:
    """Print metrics, health, performance and events as one JSON document."""
    from vitald.cli.terminal.output import copy

    query = [("format", output)]
    query += [("window", f"{window:g}")] if window else []
    copy(settings.sidecar().get("/v1/export", query).chunks())
