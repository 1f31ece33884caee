"""`vitald demo`: a sidecar, a sample service and a look at both."""

from __future__ import annotations

import click


@click.command(short_help="Run a sidecar and a sample service, and show what comes of it.")
def command() -> int:
    """Run a sidecar and a small sample service, and show what comes of it.

    On a terminal a live view follows, until ^C.
    """
    from vitald.demo import run

    return run()
