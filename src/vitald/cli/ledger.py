"""`vitald ledger`: where every line went."""

from __future__ import annotations

import click

from vitald.cli.options import Settings, asks, format_option, shows


@click.command(short_help="Show where every line went, and why.")
@format_option("table", "json")
@shows
@asks
def command(settings: Settings, *, output: str) -> None:
    """Show where every line went: aggregated, rejected and why, shed, dropped by the kernel.

    Below the sums stand the clients, with what they claim to have sent and what of it was lost on
    the way, and the last lines that were rejected, each with its reason.
    """
    from vitald.cli.terminal.output import copy, show

    sidecar = settings.sidecar()
    if output == "json":
        copy(sidecar.get("/v1/ledger").chunks())
        return
    from vitald.cli.terminal.ledger import blocks

    show(blocks(sidecar.document("/v1/ledger")), settings.screen())
