"""Topic `command-line`: how long `vitald metrics -o json` takes as a whole process."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import BenchmarkError
from benchmarks.receivers import Vitald
from benchmarks.tables import Report, count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS = 11
GOALS = {1_000: 0.120, 50_000: 1.0}

# Per hundred series, as in the load generator's mix.
MIX = (("c", 50), ("g", 20), ("ms", 25), ("s", 5))
SAMPLES = 3
LINES_PER_DATAGRAM = 30
SEAL_SECONDS = 30.0

METHOD = (
    "A sidecar with its default configuration holds the given number of series (50 % counters, "
    "20 % gauges, 25 % timers, 5 % sets, {samples} samples each) in a sealed slot. Shown: wall "
    "time from starting the process to its end, with its output read from a pipe; the median and "
    "the slowest of {runs} runs. For scale: starting the interpreter alone, and asking the control "
    "socket for the same document from a process that runs already."
)


def reports() -> list[Report]:
    """Measure both sizes; takes about a minute."""
    bare = _times(lambda: _run([sys.executable, "-c", "pass"]))
    return [
        Report(
            "`vitald metrics -o json` as a whole process",
            METHOD.format(samples=SAMPLES, runs=RUNS),
            ("series", "median", "slowest", "goal", "output", "interpreter", "API"),
            [_row(series, goal, bare) for series, goal in GOALS.items()],
        )
    ]


def _row(series: int, goal: float, bare: Sequence[float]) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        sidecar = Vitald(Path(directory))
        try:
            _fill(sidecar, series)
            vitald = Path(sys.executable).with_name("vitald")
            command = [str(vitald), "--socket", str(sidecar.control), "metrics", "-o", "json"]
            _wait_until_sealed(command, series)
            whole = _times(lambda: _run(command))
            api = _times(lambda: sidecar.get("/v1/metrics"))
            size = len(_run(command))
        finally:
            sidecar.process.stop()
    return (
        count(series),
        _milliseconds(statistics.median(whole)),
        _milliseconds(max(whole)),
        f"< {_milliseconds(goal)}",
        f"{size / 1e6:.1f} MB",
        _milliseconds(statistics.median(bare)),
        _milliseconds(statistics.median(api)),
    )


def _fill(sidecar: Vitald, series: int) -> None:
    """Send `SAMPLES` samples of every series, and wait until all have been taken."""
    kinds = [kind for kind, share in MIX for _ in range(share)]
    lines = [
        f"bench.series.{number:05d}:{sample + 1}|{kinds[number % 100]}"
        for sample in range(SAMPLES)
        for number in range(series)
    ]
    before = sidecar.counts().lines
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", sidecar.port))
        for start in range(0, len(lines), LINES_PER_DATAGRAM):
            sock.send("\n".join(lines[start : start + LINES_PER_DATAGRAM]).encode())
            time.sleep(0.0005)
    _wait("taking the lines", lambda: sidecar.counts().lines - before >= len(lines))


def _wait_until_sealed(command: Sequence[str], series: int) -> None:
    def sealed() -> bool:
        names: list[str] = [row["name"] for row in json.loads(_run(command))["metrics"]]
        return sum(name.startswith("bench.series.") for name in names) >= series

    _wait("sealing the slot", sealed)


def _wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SEAL_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"cannot measure the command line: {what} took too long")
        time.sleep(0.2)


def _times(call: Callable[[], object]) -> list[float]:
    """Time `RUNS` calls after one that is not counted."""
    call()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


def _run(command: Sequence[str]) -> bytes:
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode:
        raise BenchmarkError(f"cannot run {command[0]}: {result.stderr.decode().strip()}")
    return result.stdout


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
