"""Topic `engine`: what many series cost the Python engine, in memory and in pauses."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import time
from statistics import median
from typing import NamedTuple

from benchmarks.tables import Report, count
from vitald.aggregator.python_engine import PythonEngine
from vitald.clock import Instant

INTERVAL = 10.0
# Just under six minutes: the finest level is full, and a five-minute slot has been rolled up.
INTERVALS = 35
SIZES = (1_000, 10_000, 50_000)
LINES_PER_DATAGRAM = 20
_TYPES = (b"c", b"c", b"g", b"ms")


class Cost(NamedTuple):
    """Of one run: peak resident memory in bytes, and how long each seal took in seconds."""

    memory: int
    seals: list[float]


def reports() -> list[Report]:
    """Measure; takes about a quarter of a minute."""
    rows = []
    for series in SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            cost = pool.apply(measure, (series,))
        rows.append(
            (
                count(series),
                f"{cost.memory / 1e6:.0f} MB",
                f"{median(cost.seals) * 1e3:.0f} ms",
                f"{max(cost.seals) * 1e3:.0f} ms",
            )
        )
    report = Report(
        "Python engine with many series",
        f"The engine alone in a fresh process, garbage collector set as in the sidecar. Half "
        f"counters, a quarter gauges, a quarter timers, two tags each; every series gets one "
        f"sample in each of {INTERVALS} intervals. Shown: peak resident memory of the process, "
        f"and how long sealing an interval took. The first size is the baseline.",
        ("series", "memory", "median seal", "longest seal"),
        rows,
    )
    return [report]


def measure(series: int) -> Cost:
    """Run one size; for a process of its own."""
    lines = [
        b"svc.metric.%d:%d|%b|#host:a,route:/x/%d" % (at, at % 100, _TYPES[at % 4], at % 50)
        for at in range(series)
    ]
    datagrams = [
        b"\n".join(lines[at : at + LINES_PER_DATAGRAM])
        for at in range(0, series, LINES_PER_DATAGRAM)
    ]
    gc.freeze()
    gc.set_threshold(10_000, 20, 500)
    engine = PythonEngine(Instant(0.0, 0.0), interval=INTERVAL)
    seals = []
    for tick in range(1, INTERVALS + 1):
        for datagram in datagrams:
            engine.ingest(datagram, label="benchmark")
        began = time.perf_counter()
        engine.rotate(Instant(tick * INTERVAL, tick * INTERVAL))
        seals.append(time.perf_counter() - began)
        while engine.tidy():
            pass
    return Cost(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, seals)
