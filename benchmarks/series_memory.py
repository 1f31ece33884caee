"""Topic `series-memory`: what one active series costs in memory, at the default windows."""

from __future__ import annotations

import multiprocessing
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmarks.tables import Report, count
from benchmarks.traffic import lines_of
from vitald.aggregator.engines import choose, why_not_native
from vitald.clock import Instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from benchmarks.effort import Effort

INTERVAL = 10.0
# An hour, the longest window, and what is kept beyond it until a coarser slot takes its place.
INTERVALS = 400
# Sets of values that the intervals take in turn.
_VARIANTS = 7
_DATAGRAM = 20_000

METHOD = (
    "The engine alone in a fresh process, default windows. Every series gets its samples, with "
    "random values, in each of {intervals} intervals of 10 s, whose ends are simulated: more than "
    "an hour, so that every level of the windows is full. Then the resident memory of the process "
    "is read, and that of a process that did the same without a series is taken off. The lines "
    "come from files, so that nothing else in the process grows with the series. Names are about "
    "30 bytes long; three tags are about 40 bytes more."
)


class Case(NamedTuple):
    """One row: how many series of which kind, each with how many samples an interval."""

    title: str
    kind: str
    series: int
    samples: int = 1
    tagged: bool = False
    goal: str = ""
    engine: Literal["native", "python"] = "native"


CASES = (
    Case("counter, 1 sample an interval", "c", 100_000, goal="<= 700"),
    Case("counter with three tags, 1 sample", "c", 100_000, tagged=True, goal="<= 700"),
    Case("timer, 1 sample", "ms", 20_000, goal="<= 8,000"),
    Case("timer, 10 samples", "ms", 10_000, 10, goal="<= 8,000"),
)
PYTHON_CASES = (
    Case("Python engine: counter, 1 sample", "c", 5_000, engine="python"),
    Case("Python engine: timer, 1 sample", "ms", 1_000, engine="python"),
)


def reports(effort: Effort) -> Iterator[Report]:
    """Measure, a process a core; takes about half a minute in full."""
    cause = why_not_native()
    cases = PYTHON_CASES if cause else (*CASES, *PYTHON_CASES)
    shown = [case._replace(series=effort.of(case.series)) for case in cases]
    wanted = [*shown, *(case._replace(series=0) for case in shown)]
    with (
        tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory,
        multiprocessing.get_context("spawn").Pool(maxtasksperchild=1) as pool,
    ):
        tasks = [(case, Path(directory) / str(number)) for number, case in enumerate(wanted)]
        pool.starmap(write, tasks, chunksize=1)
        found = pool.starmap(measure, tasks, chunksize=1)
    yield Report(
        "Memory of one active series",
        METHOD.format(intervals=INTERVALS),
        ("bytes per series", "measured", "goal", "series", "resident", "without them"),
        [
            _row(case, full, none)
            for case, full, none in zip(
                shown, found[: len(shown)], found[len(shown) :], strict=True
            )
        ],
        [f"No rows of the native engine: {cause}."] if cause else [],
    )


def _row(case: Case, full: int, empty: int) -> tuple[str, ...]:
    return (
        case.title,
        count((full - empty) / case.series),
        case.goal,
        count(case.series),
        f"{full / 1e6:.1f} MB",
        f"{empty / 1e6:.1f} MB",
    )


def write(case: Case, folder: Path) -> None:
    """Write a file of lines for each set of values."""
    folder.mkdir()
    for seed in range(_VARIANTS):
        dice = random.Random(seed)
        with (folder / str(seed)).open("wb") as file:
            for _ in range(case.samples):
                lines = lines_of(case.kind, case.series, tagged=case.tagged, dice=dice)
                file.writelines(line + b"\n" for line in lines)


def measure(case: Case, folder: Path) -> int:
    """Return the resident bytes at the end; for a process of its own."""
    engine = choose(case.engine, {}).build(
        Instant(0.0, 0.0), interval=INTERVAL, series_limit=case.series + 1000
    )
    for tick in range(1, INTERVALS + 1):
        with (folder / str(tick % _VARIANTS)).open("rb") as file:
            while datagram := file.read(_DATAGRAM) + file.readline():
                engine.ingest(datagram, label="benchmark")
        engine.rotate(Instant(tick * INTERVAL, tick * INTERVAL))
        while engine.tidy():
            pass
    resident: int = psutil.Process().memory_info().rss
    return resident
