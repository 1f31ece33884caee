"""`vitald top`: the live view."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from vitald.cli.options import Settings, asks, interval_option, shows

if TYPE_CHECKING:
    from rich.live import Live

    from vitald.cli.control import Sidecar
    from vitald.cli.terminal.keys import Keyboard
    from vitald.cli.terminal.output import Screen
    from vitald.cli.terminal.overview import Overview

SNAPSHOT_ROWS = 50


@click.command()
@interval_option("The time between two looks.")
@shows
@asks
def command(settings: Settings, *, interval: float) -> None:
    """Show checks, machine and the busiest series, live.

    Keys: s sorts by something else, space holds the view, q leaves. Where stdout is no terminal
    one view is printed.
    """
    from vitald.cli.terminal.output import show
    from vitald.cli.terminal.overview import Overview

    sidecar, screen = settings.sidecar(), settings.screen()
    overview = Overview()
    _look(sidecar, overview)
    if screen.boxes:
        _live(sidecar, overview, interval, screen)
    else:
        show(overview.blocks(SNAPSHOT_ROWS, live=False), screen)


def _look(sidecar: Sidecar, overview: Overview) -> None:
    query = [("window", "10"), ("sort", overview.sort), ("top", "100")]
    overview.feed(
        sidecar.document("/v1/stats"),
        sidecar.document("/v1/health"),
        sidecar.document("/v1/metrics", query),
    )


def _live(sidecar: Sidecar, overview: Overview, interval: float, screen: Screen) -> None:
    from rich.live import Live

    from vitald.cli.terminal.boxes import console
    from vitald.cli.terminal.keys import Keyboard
    from vitald.cli.terminal.live import terminated_cleanly

    with (
        terminated_cleanly(),
        Keyboard() as keyboard,
        Live(
            console=console(sys.stdout, colour=screen.colour),
            screen=True,
            auto_refresh=False,
            vertical_overflow="crop",
        ) as live,
    ):
        _follow(sidecar, overview, interval, live, keyboard)


def _follow(
    sidecar: Sidecar,
    overview: Overview,
    interval: float,
    live: Live,
    keyboard: Keyboard,
) -> None:
    from vitald.cli.terminal.boxes import draw
    from vitald.cli.terminal.keys import END, SUSPEND
    from vitald.errors import UnreachableError

    due = time.monotonic() + interval
    while True:
        size = live.console.size
        live.update(draw(overview.blocks(size.height), size.width), refresh=True)
        typed = keyboard.key(max(0.0, due - time.monotonic()))
        if typed in {"q", "Q", END}:
            return
        if typed == SUSPEND:
            live.stop()
            keyboard.suspend()
            live.start(refresh=True)
        if overview.press(typed) or time.monotonic() >= due:
            due = time.monotonic() + interval
            try:
                _look(sidecar, overview)
            except UnreachableError as error:
                overview.lose(str(error))
