"""Looking again and again: at a terminal in place, into a pipe one after another."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from vitald.cli.terminal.output import copy, show, talk
from vitald.cli.terminal.table import Cell, line
from vitald.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vitald.cli.terminal.output import Screen
    from vitald.cli.terminal.table import Block

Look = TypeVar("Look")


def looks(look: Callable[[], Look], interval: float) -> Iterator[Look | UnreachableError]:
    """Yield what `look` returns, every `interval` seconds, for ever.

    The first failure is the caller's. Later ones are yielded: a sidecar that restarts comes back,
    and whoever watches it wants to see that.
    """
    yield look()
    while True:
        time.sleep(interval)
        try:
            yield look()
        except UnreachableError as error:
            yield error


def watch_copies(look: Callable[[], bytes], interval: float) -> None:
    """Print each answer's bytes; say on stderr, once, when there is none."""
    lost = False
    for found in looks(look, interval):
        if isinstance(found, UnreachableError):
            if not lost:
                talk(f"vitald: {found}; asking on")
            lost = True
        else:
            copy([found])
            lost = False


def watch_blocks(look: Callable[[], list[Block]], interval: float, screen: Screen) -> None:
    """Show each answer's blocks, redrawn in place where stdout is a terminal."""
    if screen.boxes:
        _redraw(look, interval, screen)
        return
    lost = False
    for found in looks(look, interval):
        if isinstance(found, UnreachableError):
            if not lost:
                talk(f"vitald: {found}; asking on")
            lost = True
        else:
            show([*found, line()], screen)
            lost = False


def _redraw(look: Callable[[], list[Block]], interval: float, screen: Screen) -> None:
    from rich.live import Live

    from vitald.cli.terminal.boxes import console, draw

    terminal = console(sys.stdout, colour=screen.colour)
    shown: list[Block] = []
    with (
        terminated_cleanly(),
        Live(console=terminal, auto_refresh=False, vertical_overflow="crop") as live,
    ):
        for found in looks(look, interval):
            lost: list[Block] = []
            if isinstance(found, UnreachableError):
                lost = [line(Cell(f"{found}; asking on", "bad"))]
            else:
                shown = found
            live.update(draw([*lost, *shown], terminal.width), refresh=True)


@contextmanager
def terminated_cleanly() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exit that restores the cursor and the screen first."""
    import signal

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, leave) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
