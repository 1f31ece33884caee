"""Topic `idle`: the CPU time of a sidecar that nothing is sent to."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.receivers import Vitald
from benchmarks.tables import Report
from vitald.aggregator.engines import why_not_native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort

# Longer than the first runs of the checks take.
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 30.0
GOAL = "< 0.5 %"

CONFIGURATIONS = {"default configuration": "", "no checks": "checks: {}\n"}


def reports(effort: Effort) -> Iterator[Report]:
    """Measure all at once; takes about 40 seconds in full."""
    cause = why_not_native()
    engines = ("python",) if cause else ("native", "python")
    seconds = max(2.0, IDLE_SECONDS * effort.share)
    wanted = {
        f"{engine} engine, {title}": (engine, more)
        for engine in engines
        for title, more in CONFIGURATIONS.items()
    }
    yield Report(
        "CPU time of an idle sidecar",
        f"`vitald run` with nothing sent to it: CPU time, user and system, of the process and its "
        f"children over {seconds:g} s, begun {SETTLE_SECONDS:g} s after the start; in percent of "
        f"one core. All rows are measured at the same time; none is pinned.",
        ("", "measured", "goal"),
        [
            (title, f"{share:.2%}".replace("%", " %"), GOAL if wanted[title][0] == "native" else "")
            for title, share in _shares(wanted, seconds).items()
        ],
        [f"No rows of the native engine: {cause}."] if cause else [],
    )


def _shares(wanted: dict[str, tuple[str, str]], seconds: float) -> dict[str, float]:
    with ExitStack() as stack:
        sidecars = {}
        for title, (engine, more) in wanted.items():
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="vitald-bench-"))
            sidecars[title] = Vitald(Path(directory), engine=engine, more=more)
            stack.callback(sidecars[title].process.stop)
        time.sleep(SETTLE_SECONDS)
        before = {title: sidecar.process.cpu_seconds() for title, sidecar in sidecars.items()}
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return {
            title: (sidecar.process.cpu_seconds() - before[title]) / took
            for title, sidecar in sidecars.items()
        }
