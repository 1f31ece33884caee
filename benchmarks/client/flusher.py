"""What the background costs: `python -m benchmarks.client.flusher PORT --events 200000`.

Calls come in batches that no caller has to fold or encode himself; each batch is flushed. The CPU
time of the calling thread and that of all other threads, which is the client's one, are told apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from importlib import import_module
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.tables import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    # Makes of a client what takes a value, and the values that it is to take, again and again.
    Prepare = Callable[[Any], tuple[Sequence[Callable[[Any], object]], Sequence[Any]]]

# Fewer than a series takes before it asks for relief.
BATCH = 2_000
EVENTS = 40_000
ROUNDS = 3

METHOD = (
    "{events:,} values of one kind, in batches of {batch:,} that are flushed one by one, to a "
    "sidecar that reads. Shown: CPU seconds, user and system, per million values, of the thread "
    "that calls and of the client's own thread (sending included); the median of {rounds} rounds. "
    "A service that records 10,000 values a second spends a hundredth of this every second. The "
    "calling thread's loop and the wait for the flush are in its number. {versions}."
)


class Spent(NamedTuple):
    """CPU seconds per million values: of the calling thread, and of all others."""

    caller: float
    flusher: float


# By Python, by kind: what was spent in each round.
Spending = dict[str, list[Spent]]


def _whole_nanoseconds() -> list[float]:
    return [(1_000_000 + number * 7919) / 1e6 for number in range(BATCH)]


def _seventeen_digits() -> list[float]:
    return [1.0 + number / 7.0 for number in range(BATCH)]


KINDS: dict[str, Prepare] = {
    "counter, one series": lambda client: ([client.counter("jobs").inc], [1]),
    "counters, 100 series": lambda client: (
        [client.counter("jobs", worker=number).inc for number in range(100)],
        [1],
    ),
    "gauge": lambda client: ([client.gauge("depth").set], [7, 8, 9]),
    "set of 100 members": lambda client: (
        [client.set("users").add],
        [f"user-{number}" for number in range(100)],
    ),
    "timer: whole milliseconds": lambda client: ([client.timer("render").record], range(1, 200)),
    "timer: what a block measures": lambda client: (
        [client.timer("render").record],
        _whole_nanoseconds(),
    ),
    "timer: 17 digits": lambda client: ([client.timer("render").record], _seventeen_digits()),
}


def report(found: Mapping[str, Spending], *, events: int, versions: str) -> Report:
    """Make a table of what was measured on each Python."""
    return Report(
        "The background: CPU seconds per million values",
        METHOD.format(events=events, batch=BATCH, rounds=ROUNDS, versions=versions),
        ("", *(f"{title} {who}" for title in found for who in ("caller", "flusher"))),
        [(kind, *_cells(found, kind)) for kind in KINDS],
    )


def _cells(found: Mapping[str, Spending], kind: str) -> Iterator[str]:
    for spending in found.values():
        yield f"{statistics.median(spent.caller for spent in spending[kind]):.2f}"
        yield f"{statistics.median(spent.flusher for spent in spending[kind]):.3f}"


def parse(answer: Mapping[str, Sequence[Sequence[float]]]) -> Spending:
    """Read what `main` printed."""
    return {kind: [Spent(*spent) for spent in rounds] for kind, rounds in answer.items()}


def spend(client: Any, kind: str, events: int) -> Spent:
    """Record and send values of a kind."""
    takers, values = KINDS[kind](client)
    pairs: Iterable[tuple[Callable[[Any], object], Any]] = zip(
        cycle(takers), cycle(values), strict=False
    )
    client.flush()
    own, whole = time.thread_time(), time.process_time()
    for _ in range(max(1, events // BATCH)):
        for take, value in islice(pairs, BATCH):
            take(value)
        client.flush()
    own = time.thread_time() - own
    rest = time.process_time() - whole - own
    millions = max(1, events // BATCH) * BATCH / 1e6
    return Spent(own / millions, rest / millions)


def measure(port: int, events: int) -> Spending:
    """Measure all kinds, in turn."""
    client = import_module("vitald").Client(f"udp://127.0.0.1:{port}", flush_interval=3600)
    spending: Spending = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind, rounds in spending.items():
            rounds.append(spend(client, kind, events))
    return spending


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    print(json.dumps(measure(options.port, options.events)))


if __name__ == "__main__":
    main()
