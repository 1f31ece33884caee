"""Options and parameter types that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.cli.control import Sidecar
    from vitald.cli.terminal.output import Screen

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


class Settings:
    """What one command line settles before its command runs.

    `socket` and `color` may stand before or after the command's name; the latter wins.
    """

    def __init__(self) -> None:
        self.socket: str | None = None
        self.color = "auto"
        self.command = ""

    def sidecar(self) -> Sidecar:
        """Return the sidecar to ask; nothing is opened yet."""
        from vitald.cli.control import Sidecar
        from vitald.config.paths import control_socket

        return Sidecar(str(control_socket(self.socket)))

    def screen(self) -> Screen:
        """Judge stdout."""
        from vitald.cli.terminal.output import screen

        return screen(self.color)


def duration(value: float | str) -> float:
    """Read a time as the configuration file has it (`10s`, `200ms`, `1h30m`), above nothing."""
    if isinstance(value, float):
        return value
    from vitald.config.units import read_duration

    try:
        seconds = read_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds <= 0:
        raise click.BadParameter(f"{value!r} is no time at all: it must be above 0")
    return seconds


def tag(text: str) -> tuple[str, str | None]:
    """Read `KEY=VALUE`, or `KEY` alone, which has no value."""
    key, equals, value = text.partition("=")
    if not key:
        raise click.BadParameter(f"{text!r} has no key: write it like queue=mail")
    return key, value if equals else None


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and param.name:
        setattr(ctx.ensure_object(Settings), param.name, value)


socket_option = click.option(
    "--socket",
    metavar="PATH",
    expose_value=False,
    callback=_remember,
    help="The sidecar's control socket.  [$VITALD_SOCKET]",
)
color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    expose_value=False,
    callback=_remember,
    help="Colour the text.  [auto: on a terminal, unless NO_COLOR is set]",
)


config_option = click.option(
    "-c",
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file.  [$VITALD_CONFIG, ./vitald.yaml, …]",
)


def asks(command: Decorated) -> Decorated:
    """Add `--socket` and pass the command its `Settings` first: it talks to the sidecar."""
    return socket_option(click.pass_obj(command))  # type: ignore[return-value]


def shows(command: Decorated) -> Decorated:
    """Add `--color`: the command prints text for people."""
    return color_option(command)


def format_option(*formats: str) -> Callable[[Decorated], Decorated]:
    """Add `-o`; the first format is the default."""
    return click.option(
        "-o",
        "--output",
        "output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="The form of the output.",
    )


def tag_option(text: str) -> Callable[[Decorated], Decorated]:
    """Add `-l tag=value`, as often as wanted."""
    return click.option(
        "-l", "--tag", "tags", metavar="TAG=VALUE", type=tag, multiple=True, help=text
    )


def watches(command: Decorated) -> Decorated:
    """Add `--watch` and the time between two looks."""
    flag = click.option("-w", "--watch", is_flag=True, help="Look again and again, until ^C.")
    return flag(interval_option("The time between two looks, with --watch.")(command))


def interval_option(text: str) -> Callable[[Decorated], Decorated]:
    """Add the time between two looks."""
    return click.option(
        "--interval",
        metavar="TIME",
        type=duration,
        default=2.0,
        help=f"{text}  [default: 2s]",
    )


def complete_from_sidecar(path: str, key: str) -> Callable[..., list[str]]:
    """Complete an argument with the names in the sidecar's document at `path`.

    Silent and quick when no sidecar answers. Only names of plain characters are offered: the
    shell inserts them into a command line, and whoever sends a packet chooses them.
    """

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        from vitald.cli.control import Sidecar
        from vitald.config.paths import control_socket
        from vitald.errors import VitaldError

        settings = ctx.find_object(Settings) or Settings()
        try:
            sidecar = Sidecar(str(control_socket(settings.socket)), timeout=0.5)
            entries = sidecar.document(path).get(key)
        except VitaldError:
            return []
        names = {
            entry.get("name")
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict)
        }
        plain = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}").fullmatch
        return sorted(
            name
            for name in names
            if isinstance(name, str) and name.startswith(incomplete) and plain(name)
        )

    return complete
