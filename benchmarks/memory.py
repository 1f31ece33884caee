"""Topic `memory`: what an idle sidecar holds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.receivers import Vitald
from benchmarks.tables import Report

IDLE_SECONDS = 60.0
IDLE_GOAL = 80e6


def reports() -> list[Report]:
    """Measure; takes a little over a minute."""
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        sidecar = Vitald(Path(directory))
        try:
            started = time.monotonic()
            at_start = sidecar.process.rss_bytes()
            time.sleep(max(0.0, started + IDLE_SECONDS - time.monotonic()))
            idle = sidecar.process.rss_bytes()
            cpu = sidecar.process.cpu_seconds()
        finally:
            sidecar.process.stop()
    report = Report(
        "Memory of an idle sidecar",
        f"`vitald run` with its default configuration and nothing sent to it; resident memory of "
        f"the process and its children, {IDLE_SECONDS:g} s after the start. CPU time is all that "
        f"it used until then, the start included.",
        ("", "measured", "goal"),
        [
            ("resident, just started", _megabytes(at_start), ""),
            (f"resident after {IDLE_SECONDS:g} s", _megabytes(idle), f"< {_megabytes(IDLE_GOAL)}"),
            ("CPU time", f"{cpu:.2f} s", ""),
        ],
    )
    return [report]


def _megabytes(number: float) -> str:
    return f"{number / 1e6:.1f} MB"
