"""`vitald reload`: have the sidecar read its configuration again."""

from __future__ import annotations

import click

from vitald.cli.options import Settings, asks


@click.command(short_help="Have the sidecar read its configuration again.")
@asks
def command(settings: Settings) -> None:
    """Have the sidecar read its configuration again, and say what changed.

    A file with a fault changes nothing: every fault is named and the exit code is 65.
    """
    from vitald.cli.document import words
    from vitald.cli.terminal.output import talk

    sidecar = settings.sidecar()
    sidecar.awake()
    # Checks and forwarders stop and start in the course of it.
    answer = sidecar.post("/v1/reload", timeout=60.0)
    changed = words(sidecar.parse(answer.body()).get("changed"))
    talk(f"changed: {changed}" if changed else "nothing changed")
