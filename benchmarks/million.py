"""Topic `million`: what sealing and asking cost with very many series, while lines come in."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import pauses
from benchmarks.processes import BenchmarkError
from benchmarks.sink import build
from benchmarks.tables import Report, count
from vitald.aggregator.engines import why_not_native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.effort import Effort
    from benchmarks.pauses import Cost, Name, Watched

SERIES = 1_000_000
# What the Python engine holds in less than a gigabyte.
PYTHON_SERIES = 50_000
# Every sixth seal ends a minute; the last but one ends five.
ROUNDS = 31

METHOD = (
    "An engine in a fresh process pinned to cores {cores}: half counters, 20 % gauges, 25 % "
    "timers, 5 % sets, no tags, one sample a series in each of twice {rounds} intervals of 10 s, "
    "whose ends are simulated. Each is sealed by the sidecar's flusher, while the engine receives "
    "{pace} datagrams/s over UDP from core {sender}. In the first half a thread calls `ingest` "
    "with one line again and again, in the second half a coroutine sleeps for 1 ms again and "
    "again: not at once, because they would wait for each other's turn with the interpreter. "
    "Shown: how long a seal took until the interval was delivered; the longest call and the "
    "longest delay of the coroutine in any seal, and for scale while nothing was sealed. Then "
    "questions over the last "
    "{window:g} s, median and slowest, until the last `Row` was there in Python; and the same "
    "questions to the engine alone, until the last row was there in Rust."
)


class Answers(NamedTuple):
    """Seconds, median and slowest."""

    name: tuple[float, float]
    everything: tuple[float, float]


def reports(effort: Effort) -> Iterator[Report]:
    """Measure; takes about two minutes in full."""
    rounds = max(7, effort.of(ROUNDS))
    series, python_series = effort.of(SERIES), effort.of(PYTHON_SERIES)
    cause = why_not_native()
    rows = [] if cause else _native(_cost("native", series, rounds), _alone(series))
    others = _python(_cost("python", python_series, rounds))
    cores, sender = pauses.cores()
    yield Report(
        "Sealing and asking with many series",
        METHOD.format(
            cores=", ".join(map(str, cores)),
            rounds=rounds,
            pace=count(pauses.PACE),
            sender=sender,
            window=pauses.WINDOW,
        ),
        ("", "measured", "goal", "no seal"),
        [
            (f"native engine, {count(series)} series", "", "", ""),
            *rows,
            (f"Python engine, {count(python_series)} series", "", "", ""),
            *others,
        ],
        [f"No rows of the native engine: {cause}."] if cause else [],
    )


def _native(cost: Cost, alone: Answers) -> list[tuple[str, ...]]:
    return [
        ("  seal, median and longest", _two(cost.seals), "", ""),
        ("  longest ingest call", _most(cost.sealing.calls), "< 5 ms", _most(cost.quiet.calls)),
        ("  longest delay of the loop", _most(cost.sealing.delays), "< 20 ms", _quiet(cost)),
        ("  dropped by the kernel", _dropped(cost.sealing), "0", _dropped(cost.quiet)),
        ("  one name, in Rust", _times(alone.name), "< 1 ms", ""),
        ("  one name, in Python", _two(cost.name), "", ""),
        ("  glob over all, in Rust", _times(alone.everything), "< 150 ms", ""),
        ("  glob over all, in Python", _two(cost.everything), "", ""),
    ]


def _python(cost: Cost) -> list[tuple[str, ...]]:
    return [
        ("  seal, median and longest", _two(cost.seals), "", ""),
        ("  longest delay of the loop", _most(cost.sealing.delays), "", _quiet(cost)),
        ("  dropped by the kernel", _dropped(cost.sealing), "", _dropped(cost.quiet)),
        ("  one name", _two(cost.name), "", ""),
        ("  glob over all", _two(cost.everything), "", ""),
    ]


def _quiet(cost: Cost) -> str:
    return _most(cost.quiet.delays)


def _dropped(watched: Watched) -> str:
    return f"{count(watched.dropped)} of {count(watched.received + watched.dropped)}"


def _most(seconds: Sequence[float]) -> str:
    return f"{max(seconds) * 1e3:,.2f} ms"


def _two(seconds: Sequence[float]) -> str:
    return _times((median(seconds), max(seconds)))


def _times(seconds: tuple[float, float]) -> str:
    return ", ".join(f"{each * 1e3:,.2f}" for each in seconds) + " ms"


def _cost(name: Name, series: int, rounds: int) -> Cost:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(pauses.measure, (name, series, rounds))


def _alone(series: int) -> Answers:
    """Ask the engine without Python: `engine/core/examples/query.rs`."""
    lines = pauses.lines(series)
    name = lines[len(lines) // 4].partition(b":")[0].decode()
    result = subprocess.run(
        [build("query"), str(pauses.WINDOW), name, "*"],
        input=b"\n".join(lines),
        capture_output=True,
        check=False,
    )
    if result.returncode:
        raise BenchmarkError(f"cannot ask the engine alone: {result.stderr.decode().strip()}")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    if [answer["rows"] for answer in answers] != [1, len(lines)]:
        raise BenchmarkError(f"cannot trust the answers of the engine alone: {answers}")
    return Answers(*((each["median"] / 1e3, each["slowest"] / 1e3) for each in answers))
