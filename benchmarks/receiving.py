"""Topic `receiving`: what the native engine takes of what the kernel hands over.

The yardstick is a program that receives in the same way and only counts newlines (`sink.py`), on
the same core, under the same load, in turn with the engine.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import machine
from benchmarks.receivers import Vitald
from benchmarks.runs import Load, Run, measure
from benchmarks.sink import RECEIVE_BUFFER, BareSinks
from benchmarks.tables import Report, count
from benchmarks.traffic import Mix
from vitald.aggregator.engines import why_not_native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.effort import Effort
    from benchmarks.receivers import Receiver

    Start = Callable[[Path, Sequence[int]], Receiver]

# Enough flows for the kernel to spread over two readers.
SOCKETS = 16
MANY_NAMES = 25_000
# The share of its core that a receiver uses when it is the bottleneck and nothing disturbs it.
NEARLY_ALL = 0.9
# A share of what was sent.
NEARLY_NOTHING = 0.02
_UNIT = re.compile(", (lines|datagrams)/s$")

METHOD = (
    "Each receiver's whole process is pinned to core {receivers} (both with two readers), the "
    "load comes from threads pinned to cores {load}, {sockets} sockets each, flat out by "
    "sendmmsg(2) with UDP_SEGMENT: the kernel cuts the messages into datagrams on the sender's "
    "core, before they reach the socket, and a receiver takes them one by one (to drain a full "
    "receive buffer costs it the same as with datagrams that were sent singly). 50 % counters, "
    "20 % gauges, 25 % timers, 5 % sets, 1,000 names each unless said otherwise; packed is 1432 "
    "bytes a datagram, about 40 lines, or 18 with three DogStatsD tags each. The engine is a "
    "`vitald run` with its default checks and windows, the sink counts newlines and does nothing "
    "else; both have the same receive buffer, 4 MiB as by default, or what the kernel gives every "
    "program, where a row says so: less waits there, and it is still in a cache when it is looked "
    "at. A run is a fresh process, {warm:g} s of load to warm "
    "up, then {seconds:g} s of load measured ({baseline:g} s for the sink); runs alternate, "
    "{runs} each, one of the Python engine. Shown: what was processed per second of wall "
    "time, the median; the ratio of the medians, and the lowest and highest ratio of two "
    "neighbouring runs; the same ratio per second of CPU time of the whole process, which tells "
    "whether something else used the core. Datagrams that are sent singly are fewer than the sink "
    "takes: there the ratio per CPU second is what counts."
)


class Case(NamedTuple):
    """One row: what is sent to how many readers, in which unit, and the goal for the ratio."""

    title: str
    mix: Mix
    goal: float | None = None
    readers: int = 1
    engine: str = "native"
    whole: bool = False
    buffer: int = RECEIVE_BUFFER

    @property
    def is_single(self) -> bool:
        """Say whether datagrams are what counts, not lines."""
        return self.mix.shape == "lines"


class Pair(NamedTuple):
    """A row's runs of the engine, and those of the sink next to them."""

    engine: list[Run]
    sink: list[Run]


PACKED = Case("packed, lines/s", Mix("packed"), 0.35)
CASES = (
    Case("one line a datagram, datagrams/s", Mix("lines"), 0.95),
    Case("one line a datagram, kernel's buffer", Mix("lines"), buffer=0),
    Case("one line a datagram, sent singly", Mix("lines"), whole=True),
    PACKED,
    Case("packed, kernel's buffer, lines/s", Mix("packed"), buffer=0),
    Case("packed, sent singly, lines/s", Mix("packed"), whole=True),
    Case("with three tags, lines/s", Mix("packed", tagged=True), 0.2),
    Case("100,000 series, lines/s", Mix("packed", MANY_NAMES), 0.15),
)
TWO_READERS = Case("two readers, lines/s", Mix("packed"), 1.8, readers=2)
PYTHON_CASES = (
    Case("Python engine, one line a datagram", Mix("lines"), engine="python"),
    Case("Python engine, packed, lines/s", Mix("packed"), engine="python"),
)


def reports(effort: Effort) -> Iterator[Report]:
    """Measure; takes about six minutes in full."""
    cores = machine.cores(receivers=2, senders=2)
    notes = list(_too_few(cores))
    native = () if (cause := why_not_native()) else CASES
    if cause:
        notes.append(f"No rows of the native engine: {cause}.")
    pairs = {case: _pair(case, cores, effort) for case in (*native, *PYTHON_CASES)}
    rows = [_row(case, pair) for case, pair in pairs.items()]
    if native and len(cores.receivers) > 1:
        two = _pair(TWO_READERS, cores, effort)
        rows[len(native) : len(native)] = _rows_of_two(pairs[PACKED], two)
        pairs[TWO_READERS] = two
    notes.extend(_unloaded(pairs))
    method = METHOD.format(
        receivers=cores.receivers[0],
        load=" and ".join(map(str, cores.load)),
        sockets=SOCKETS,
        warm=effort.warm,
        seconds=effort.load,
        baseline=effort.baseline,
        runs=effort.runs,
    )
    columns = ("one reader, one core", "engine", "bare sink", "ratio", "goal", "runs", "per CPU s")
    yield Report("The native engine and the bare sink", method, columns, rows, notes)
    yield _accounts(pairs)


def _too_few(cores: machine.Cores) -> Iterator[str]:
    if len(cores.receivers) < 2:
        yield "Too few cores for a row of two readers: they and two senders need four."
    if len(cores.load) < 2:
        yield "Too few cores for two senders: with one, the load may not be enough."


def _pair(case: Case, cores: machine.Cores, effort: Effort) -> Pair:
    pair = Pair([], [])
    start = partial(
        Vitald,
        engine=case.engine,
        readers=case.readers,
        buffer=case.buffer,
        more=_limits(case),
    )
    sink = partial(BareSinks, buffer=case.buffer)
    receivers = cores.receivers[: case.readers]
    load = Load(case.mix, cores.load, SOCKETS, case.whole)
    for _ in range(1 if case.engine == "python" else effort.runs):
        pair.sink.append(_run(sink, receivers, load, effort, effort.baseline))
        pair.engine.append(_run(start, receivers, load, effort, effort.load))
    return pair


def _limits(case: Case) -> str:
    return f"limits: {{series: {5 * case.mix.names}}}\n" if case.mix.names == MANY_NAMES else ""


def _run(start: Start, cpus: Sequence[int], load: Load, effort: Effort, seconds: float) -> Run:
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        receiver = start(Path(directory), cpus)
        try:
            return measure(receiver, load, warm=effort.warm, seconds=seconds)
        finally:
            receiver.process.stop()


def _row(case: Case, pair: Pair) -> tuple[str, ...]:
    per_cpu = _rates(case, pair.engine, per_cpu=True), _rates(case, pair.sink, per_cpu=True)
    return _compare(case, _rates(case, pair.engine), _rates(case, pair.sink), per_cpu)


def _rows_of_two(one: Pair, two: Pair) -> Iterator[tuple[str, ...]]:
    """Compare two readers with one, and two sinks with one for scale."""
    case = TWO_READERS
    for title, goal, many, single in (
        ("two readers (baseline: one)", case.goal, two.engine, one.engine),
        ("two bare sinks (baseline: one)", None, two.sink, one.sink),
    ):
        per_cpu = _rates(case, many, per_cpu=True), _rates(case, single, per_cpu=True)
        shown = case._replace(title=title, goal=goal)
        yield _compare(shown, _rates(case, many), _rates(case, single), per_cpu)


def _compare(
    case: Case,
    measured: Sequence[float],
    baseline: Sequence[float],
    per_cpu: tuple[Sequence[float], Sequence[float]],
) -> tuple[str, ...]:
    ratios = [mine / other for mine, other in zip(measured, baseline, strict=True)]
    return (
        case.title,
        count(statistics.median(measured)),
        count(statistics.median(baseline)),
        f"{statistics.median(measured) / statistics.median(baseline):.3f}",
        f">= {case.goal:g}" if case.goal else "",
        f"[{min(ratios):.3f} to {max(ratios):.3f}]",
        f"{statistics.median(per_cpu[0]) / statistics.median(per_cpu[1]):.3f}",
    )


def _rates(case: Case, runs: Sequence[Run], *, per_cpu: bool = False) -> list[float]:
    return [
        (run.done.datagrams if case.is_single else run.done.lines)
        / (run.cpu if per_cpu else run.seconds)
        for run in runs
    ]


def _unloaded(pairs: dict[Case, Pair]) -> Iterator[str]:
    """Say where something else than the receiver was the bottleneck."""
    for case, pair in pairs.items():
        for name, runs in (("engine", pair.engine), ("bare sink", pair.sink)):
            busy = statistics.median(run.busy for run in runs) / case.readers
            if case.whole or busy >= NEARLY_ALL:
                continue
            sent = sum(run.sent.datagrams for run in runs)
            is_dropping = sum(run.done.dropped for run in runs) > NEARLY_NOTHING * sent
            cause = (
                "other work took the rest: repeat this on a quiet machine"
                if is_dropping
                else "it took all that was sent, and could take more"
            )
            yield f"{case.title}: the {name} used {busy:.0%} of a core for each reader; {cause}."


def _accounts(pairs: dict[Case, Pair]) -> Report:
    rows = [
        _account(f"{_UNIT.sub('', case.title)}: {name}", runs)
        for case, pair in pairs.items()
        for name, runs in (("engine", pair.engine), ("sink", pair.sink))
    ]
    return Report(
        "Where every datagram went",
        "Of the runs above, added up: datagrams that the load generator handed to the kernel, what "
        "the receiver counted (the engine in its ledger), and what the kernel counted as dropped "
        "at the receiver's sockets because their buffers were full. Unaccounted must be 0.",
        ("", "sent", "received", "kernel dropped", "unaccounted", "offered/s", "cores busy"),
        rows,
    )


def _account(title: str, runs: Sequence[Run]) -> tuple[str, ...]:
    return (
        title,
        count(sum(run.sent.datagrams for run in runs)),
        count(sum(run.done.datagrams for run in runs)),
        count(sum(run.done.dropped for run in runs)),
        count(sum(run.unaccounted for run in runs)),
        count(statistics.median(run.offered for run in runs)),
        f"{statistics.median(run.busy for run in runs):.2f}",
    )
