"""Topic `throughput`: datagrams/s and lines/s of one core, beside the reference server.

The load is flat out and more than any receiver takes, so the kernel drops the rest; what counts is
what the receiver says it processed, per second of CPU time of its whole process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import machine
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.receivers import Counts, NodeStatsd, ReceiveOnly, Vitald, install_node_statsd
from benchmarks.tables import Report, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.receivers import Receiver
    from benchmarks.traffic import Shape

    Start = Callable[[Path, Sequence[int]], Receiver]

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


class Rate(NamedTuple):
    """One run: processed per CPU second, and the share of a core that was used."""

    datagrams: float
    lines: float
    busy: float
    offered: float


def reports() -> Iterator[Report]:
    """Measure both shapes; takes about three minutes."""
    starts: dict[str, Start] = {Vitald.title: Vitald}
    notes = []
    try:
        install_node_statsd()
        starts = {NodeStatsd.title: NodeStatsd, **starts}
    except BenchmarkError as error:
        notes.append(f"No comparison: {error}.")
    yield _report("lines", "one line per datagram", starts, notes)
    yield _report("packed", "1432-byte datagrams of about 40 lines", starts, notes)


def _report(shape: Shape, words: str, starts: dict[str, Start], notes: Sequence[str]) -> Report:
    results: dict[str, list[Rate]] = {title: [] for title in starts}
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
            (f"{ReceiveOnly.title} (Python)", count(ceiling.datagrams), "", "", _busy([ceiling])),
        ],
        [*_verdict(results), *notes],
    )


def _verdict(results: dict[str, list[Rate]]) -> Iterator[str]:
    medians = {
        title: statistics.median(run.lines for run in runs) for title, runs in results.items()
    }
    if NodeStatsd.title in medians:
        ratio = medians[Vitald.title] / medians[NodeStatsd.title]
        yield f"vitald / statsd (Node): {ratio:.2f} x (goal: at least {GOAL} x)."
    if any(run.busy < NEARLY_ALL for runs in results.values() for run in runs):
        yield "Something else used the receiver's core: repeat this on a quiet machine."


def _row(title: str, runs: Sequence[Rate]) -> tuple[str, ...]:
    lines = [run.lines for run in runs]
    return (
        title,
        count(statistics.median(run.datagrams for run in runs)),
        count(statistics.median(lines)),
        f"[{count(min(lines))} to {count(max(lines))}]",
        _busy(runs),
    )


def _busy(runs: Sequence[Rate]) -> str:
    return f"{statistics.median(run.busy for run in runs):.0%}"


def _measure(start: Start, shape: Shape, seconds: float) -> Rate:
    cores = machine.cores()
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        receiver = start(Path(directory), [cores.receiver])
        try:
            _load(receiver, shape, WARM_SECONDS, cores.load)
            before, cpu_before = _settled(receiver), receiver.process.cpu_seconds()
            sent = _load(receiver, shape, seconds, cores.load)
            done = _settled(receiver).since(before)
            cpu = receiver.process.cpu_seconds() - cpu_before
        finally:
            receiver.process.stop()
    _check(start, shape, done, sent)
    offered = sent["datagrams"] / sent["seconds"]
    return Rate(done.datagrams / cpu, done.lines / cpu, cpu / sent["seconds"], offered)


def _load(receiver: Receiver, shape: Shape, seconds: float, cpu: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.loadgen", f"127.0.0.1:{receiver.port}"]
    command += ["--shape", shape, "--seconds", str(seconds), "--cpus", str(cpu)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchmarkError(f"cannot send the load: {result.stderr.strip()}")
    sent: dict[str, float] = json.loads(result.stdout)
    return sent


def _settled(receiver: Receiver) -> Counts:
    """Return the counts once they stand still: what is in the receive buffer counts too."""
    counts = receiver.counts()
    while True:
        time.sleep(0.2)
        now = receiver.counts()
        if now == counts:
            return now
        counts = now


def _check(start: Start, shape: Shape, done: Counts, sent: dict[str, float]) -> None:
    """Refuse numbers that cannot be true."""
    if done.refused:
        raise BenchmarkError(f"cannot trust the run: {done.refused} lines were not understood")
    if not done.datagrams or done.datagrams > sent["datagrams"]:
        raise BenchmarkError(f"cannot trust the run: sent {sent}, processed {done}")
    expected = sent["lines"] / sent["datagrams"]
    if start is not ReceiveOnly and abs(done.lines / done.datagrams / expected - 1) > 0.02:
        raise BenchmarkError(f"cannot trust the {shape} run: lines are missing from {done}")
