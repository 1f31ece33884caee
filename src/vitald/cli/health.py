"""`vitald health`: how the checks stand, as a table and as an exit code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vitald.cli.options import (
    Settings,
    asks,
    complete_from_sidecar,
    duration,
    format_option,
    shows,
    watches,
)
from vitald.errors import UnreachableError, VitaldError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.cli.control import Sidecar
    from vitald.cli.document import Document
    from vitald.cli.terminal.table import Block

UNKNOWN = 3
# The sidecar ends a run at the check's own time-out and any answer after 60 s.
RUN_TIMEOUT = 65.0


@click.command(short_help="Show the checks; the exit code is their worst status.")
@click.argument(
    "names",
    metavar="[NAME]...",
    nargs=-1,
    shell_complete=complete_from_sidecar("/v1/health", "checks"),
)
@click.option("--run", "run_now", is_flag=True, help="Run the checks now instead of waiting.")
@click.option(
    "--wait",
    "wanted",
    type=click.Choice(["healthy", "warning", "critical", "unknown"]),
    help="Look again and again until the status is this.",
)
@click.option(
    "--timeout",
    metavar="TIME",
    type=duration,
    default=60.0,
    help="Stop waiting after this long.  [default: 60s]",
)
@watches
@format_option("table", "json", "nagios")
@shows
@asks
def command(
    settings: Settings,
    *,
    names: Sequence[str],
    run_now: bool,
    wanted: str | None,
    timeout: float,
    watch: bool,
    interval: float,
    output: str,
) -> int:
    """Show the checks named (all without a NAME) and answer with their worst status.

    Exit code: 0 healthy, 1 warning, 2 critical, 3 unknown, wrong usage or no sidecar.
    `-o nagios` prints what a Nagios plugin prints.
    """
    if watch and (wanted or output == "nagios"):
        raise click.UsageError("--watch goes with neither --wait nor -o nagios")
    sidecar = settings.sidecar()
    try:
        if run_now:
            _run(sidecar, names)
        if watch:
            return _watch(settings, sidecar, names, interval, output)
        if wanted:
            _wait(sidecar, names, wanted, timeout, interval)
        return _print(settings, sidecar, names, output)
    except VitaldError as error:
        if output == "nagios":
            from vitald.cli.nagios import failure
            from vitald.cli.terminal.output import write

            write(failure(str(error)))
        raise


def _document(sidecar: Sidecar, names: Sequence[str]) -> Document:
    return sidecar.document("/v1/health", [("name", name) for name in names])


def _print(settings: Settings, sidecar: Sidecar, names: Sequence[str], output: str) -> int:
    from vitald.cli.terminal.health import blocks, code_of
    from vitald.cli.terminal.output import copy, show, write

    answer = sidecar.get("/v1/health", [("name", name) for name in names])
    body = answer.body()
    document = sidecar.parse(body)
    if output == "json":
        copy([body])
    elif output == "nagios":
        from vitald.cli.nagios import report

        write(report(document))
    else:
        show(blocks(document), settings.screen())
    return code_of(document)


def _watch(
    settings: Settings, sidecar: Sidecar, names: Sequence[str], interval: float, output: str
) -> int:
    from vitald.cli.terminal.health import blocks
    from vitald.cli.terminal.live import watch_blocks, watch_copies

    query = [("name", name) for name in names]
    if output == "json":
        watch_copies(lambda: sidecar.get("/v1/health", query).body(), interval)

    def look() -> list[Block]:
        return blocks(_document(sidecar, names))

    watch_blocks(look, interval, settings.screen())
    return UNKNOWN


def _run(sidecar: Sidecar, names: Sequence[str]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from vitald.cli.control import quoted
    from vitald.cli.document import items, text

    checks = [text(check.get("name")) for check in items(_document(sidecar, names).get("checks"))]

    def run(name: str) -> None:
        sidecar.post(f"/v1/checks/{quoted(name)}/run", RUN_TIMEOUT).body()

    # Checks wait for others, not for this machine: together they take as long as the slowest.
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(run, checks))


def _wait(
    sidecar: Sidecar, names: Sequence[str], wanted: str, timeout: float, interval: float
) -> None:
    from vitald.cli.document import text
    from vitald.cli.terminal.output import talk

    deadline = time.monotonic() + timeout
    while True:
        try:
            found = text(_document(sidecar, names).get("status")) or "unknown"
            missed = None
        except UnreachableError as error:
            # It may still be starting.
            found, missed = "unreachable", error
        left = deadline - time.monotonic()
        if found == wanted:
            return
        if left <= 0:
            talk(f"vitald: cannot see {wanted} within {timeout:g} s: the status is {found}")
            if missed is not None:
                raise missed
            return
        time.sleep(min(interval, left))
