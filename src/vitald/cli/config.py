"""`vitald config`: check, show, describe and begin a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vitald.cli.options import config_option

if TYPE_CHECKING:
    from pathlib import Path


@click.group(short_help="Check, show, describe or begin a configuration.")
def command() -> None:
    """Check, show, describe or begin a configuration; no sidecar is asked."""


@command.command()
@config_option
def check(*, config: Path | None) -> None:
    """Read the configuration as `run` would and name every fault.

    Exit code 65 when there is one. Warnings are no faults.
    """
    from vitald.cli.terminal.output import talk, write
    from vitald.cli.terminal.text import escape
    from vitald.config.load import load

    loaded = load(config)
    for warning in loaded.warnings:
        talk(f"warning: {warning}")
    where = escape(str(loaded.path)) if loaded.path else "built-in default"
    checks, forwarders = len(loaded.config.checks), len(loaded.config.forward)
    write(f"{where}: valid, {_counted(checks, 'check')}, {_counted(forwarders, 'forwarder')}\n")


@command.command(short_help="Print the configuration in force.")
@config_option
def show(*, config: Path | None) -> None:
    """Print the configuration in force, with every default filled in and no secret shown."""
    from vitald.cli.terminal.output import write
    from vitald.config.load import load
    from vitald.config.show import show as shown

    write(shown(load(config)))


@command.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    import json

    from vitald.cli.terminal.output import write
    from vitald.config.schema import schema as described

    write(json.dumps(described(), indent=2) + "\n")


@command.command()
def init() -> None:
    """Print a commented configuration to begin with.

    It means the built-in default until it is changed:  vitald config init > vitald.yaml
    """
    from vitald.cli.terminal.output import write
    from vitald.config.init import init as example

    write(example())


def _counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
