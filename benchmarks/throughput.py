"""Topic `throughput`: datagrams/s and lines/s of one core, beside the reference server.

The load is flat out and more than any receiver takes, so the kernel drops the rest; what counts is
what the receiver says it processed, per second of CPU time of its whole process.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.processes import BenchmarkError
from benchmarks.receivers import NodeStatsd, ReceiveOnly, Vitald, install_node_statsd
from benchmarks.runs import Load, Run, measure
from benchmarks.tables import Report, count
from benchmarks.traffic import Mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.receivers import Receiver
    from benchmarks.traffic import Shape

    Start = Callable[[Path, Sequence[int]], Receiver]

NODE, VITALD = "statsd (Node)", "vitald (Python)"

RUNS = 3
# Long enough for the reference server's compiler to settle, and for all series to exist.
WARM_SECONDS = 2.0
# One interval, so that every run contains exactly one flush of each receiver.
LOAD_SECONDS = 10.0
RECEIVE_ONLY_SECONDS = 2.0
GOAL = 1.5
# The share of the core that a receiver under flat-out load uses when nothing disturbs it.
NEARLY_ALL = 0.9

METHOD = (
    "Each receiver's whole process is pinned to one core; one sender, pinned to another, sends "
    "flat out ({offered}) and the kernel drops what the receiver does not take. 50 % counters, "
    "20 % gauges, 25 % timers, 5 % sets, 1,000 names each, no tags. A run is a fresh process, "
    "{warm:g} s of load to warm up, then {load:g} s of load measured, with one flush in them; runs "
    "of the receivers alternate, {runs} each. Shown: what the receiver's own counters say was "
    "processed, per second of its CPU time; the median, and in brackets the lowest and highest run."
)


def reports() -> Iterator[Report]:
    """Measure both shapes; takes about three minutes."""
    starts: dict[str, Start] = {VITALD: partial(Vitald, engine="python")}
    notes = []
    try:
        install_node_statsd()
        starts = {NODE: NodeStatsd, **starts}
    except BenchmarkError as error:
        notes.append(f"No comparison: {error}.")
    yield _report("lines", "one line per datagram", starts, notes)
    yield _report("packed", "1432-byte datagrams of about 40 lines", starts, notes)


def _report(shape: Shape, words: str, starts: dict[str, Start], notes: Sequence[str]) -> Report:
    results: dict[str, list[Run]] = {title: [] for title in starts}
    ceiling = _measure(ReceiveOnly, shape, RECEIVE_ONLY_SECONDS)
    for _ in range(RUNS):
        for title, start in starts.items():
            results[title].append(_measure(start, shape, LOAD_SECONDS))
    runs = [run for each in results.values() for run in each]
    offered = statistics.median(run.offered for run in runs)
    return Report(
        f"Throughput of one core: {words}",
        METHOD.format(
            offered=f"{offered / 1e6:.1f} million datagrams/s",
            warm=WARM_SECONDS,
            load=LOAD_SECONDS,
            runs=RUNS,
        ),
        ("receiver", "datagrams/s", "lines/s", "lines/s of the runs", "core busy"),
        [
            *(_row(title, each) for title, each in results.items()),
            (
                "receive only (Python)",
                count(ceiling.done.datagrams / ceiling.cpu),
                "",
                "",
                _busy([ceiling]),
            ),
        ],
        [*_verdict(results), *notes],
    )


def _verdict(results: dict[str, list[Run]]) -> Iterator[str]:
    medians = {
        title: statistics.median(run.done.lines / run.cpu for run in runs)
        for title, runs in results.items()
    }
    if NODE in medians:
        ratio = medians[VITALD] / medians[NODE]
        yield f"vitald / statsd (Node): {ratio:.2f} x (goal: at least {GOAL} x)."
    if any(run.busy < NEARLY_ALL for runs in results.values() for run in runs):
        yield "Something else used the receiver's core: repeat this on a quiet machine."


def _row(title: str, runs: Sequence[Run]) -> tuple[str, ...]:
    lines = [run.done.lines / run.cpu for run in runs]
    return (
        title,
        count(statistics.median(run.done.datagrams / run.cpu for run in runs)),
        count(statistics.median(lines)),
        f"[{count(min(lines))} to {count(max(lines))}]",
        _busy(runs),
    )


def _busy(runs: Sequence[Run]) -> str:
    return f"{statistics.median(run.busy for run in runs):.0%}"


def _measure(start: Start, shape: Shape, seconds: float) -> Run:
    cores = machine.cores()
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        receiver = start(Path(directory), cores.receivers)
        try:
            load = Load(Mix(shape), cores.load)
            return measure(receiver, load, warm=WARM_SECONDS, seconds=seconds)
        finally:
            receiver.process.stop()
