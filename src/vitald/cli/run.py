"""`vitald run`: the sidecar itself, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from vitald.cli.options import Settings, config_option, socket_option


@click.command()
@config_option
@socket_option
@click.pass_obj
def command(settings: Settings, *, config: Path | None) -> int:
    """Run the sidecar in the foreground until SIGTERM or ^C.

    Without -c the configuration is $VITALD_CONFIG, ./vitald.yaml,
    $XDG_CONFIG_HOME/vitald/config.yaml or /etc/vitald/config.yaml, whichever is there first; with
    none of them the built-in one. SIGHUP and `vitald reload` read it again.
    """
    from vitald.daemon import run

    return run(config, Path(settings.socket) if settings.socket else None)
