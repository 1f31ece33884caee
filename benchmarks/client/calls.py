"""What a call costs, by loops: `python -m benchmarks.client.calls PORT --rounds 11`.

A clock around every call would cost more than the call; so a loop is timed as a whole, and the
same loop with nothing in it is taken off.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import timeit
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.client import clients
from benchmarks.client.clients import CALLS, CLIENTS, Call
from benchmarks.tables import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.client.clients import Client

# A loop takes about so long.
SECONDS = 0.02
_EMPTY = Call("", "pass")

METHOD = (
    "One thread calls without a pause, against a sidecar that reads, in loops of {milliseconds:g} "
    "ms each (20,000 timings, 2,000 calls of aiodogstatsd); the same loop with nothing in it is "
    "taken off. Rounds: {rounds}, all clients in turn in each; shown are the medians of the "
    "rounds, in nanoseconds of a call. `call` is what the caller waits, while the client's own "
    "thread runs too. `CPU` is what the whole process used, user and system, until nothing was "
    "left to be sent: flushing datadog's and vitald's client and emptying aiodogstatsd's queue is "
    "in it. prometheus_client sends nothing. All as they are by default but `aggregated`: "
    "disable_aggregation=False, disable_buffering=False. {versions}."
)
GOALS_METHOD = (
    "How many times cheaper a call is: the median of the rounds' ratios of `call` above, and the "
    "lowest and the highest."
)


class Cost(NamedTuple):
    """Nanoseconds of one call: what the caller waited, and all CPU time for it."""

    wall: float
    cpu: float


class Goal(NamedTuple):
    """A call is to be so many times cheaper than another, which the row calls `known_as`."""

    call: Call
    baseline: Call
    known_as: str
    times: float


GOALS = (
    Goal(clients.INC, clients.STATSD_INCR, "statsd's incr", 20),
    Goal(clients.INC, clients.PROMETHEUS_INC, "prometheus_client's bound inc", 4),
    Goal(clients.INCR, clients.STATSD_INCR, "statsd's incr", 10),
    Goal(clients.INCR_TAGS, clients.STATSD_INCR, "statsd's incr", 5),
    Goal(clients.INCR_LITERAL, clients.STATSD_INCR, "statsd's incr", 5),
    Goal(clients.INCR_INT, clients.STATSD_INCR, "statsd's incr", 5),
    Goal(clients.TIMER_HANDLE, clients.STATSD_TIMER, "statsd's timer", 3),
    Goal(clients.TIMER, clients.STATSD_TIMER, "statsd's timer", 3),
)

# By Python, by call: a cost for each round.
Costs = dict[str, list[Cost]]


def reports(found: Mapping[str, Costs], *, rounds: int, versions: str) -> Iterator[Report]:
    """Make tables of what was measured on each Python."""
    titles = list(found)
    yield Report(
        "What a call costs: loops",
        METHOD.format(milliseconds=SECONDS * 1e3, rounds=rounds, versions=versions),
        ("ns a call", *(f"{title} {what}" for title in titles for what in ("call", "CPU"))),
        [(call.title, *_cells(found, call)) for call in CALLS],
    )
    yield Report(
        "Times cheaper",
        GOALS_METHOD,
        ("", *titles, "goal"),
        [
            (
                f"{goal.call.statement.removesuffix(' pass')} against {goal.known_as}",
                *(_ratio(found[title], goal) for title in titles),
                f">= {goal.times:g}",
            )
            for goal in GOALS
        ],
    )


def _cells(found: Mapping[str, Costs], call: Call) -> Iterator[str]:
    for costs in found.values():
        yield f"{statistics.median(cost.wall for cost in costs[call.title]):,.0f}"
        yield f"{statistics.median(cost.cpu for cost in costs[call.title]):,.0f}"


def _ratio(costs: Costs, goal: Goal) -> str:
    times = ratios(costs[goal.call.title], costs[goal.baseline.title])
    mark = "" if statistics.median(times) >= goal.times else ", missed"
    return f"{statistics.median(times):.1f} [{min(times):.1f} to {max(times):.1f}]{mark}"


def ratios(costs: Sequence[Cost], baseline: Sequence[Cost]) -> list[float]:
    """Return how many times cheaper than the baseline a call was in each round."""
    # What is lost in the noise of the empty loop costs a nanosecond at most.
    return [theirs.wall / max(ours.wall, 1.0) for ours, theirs in zip(costs, baseline, strict=True)]


def parse(answer: Mapping[str, Sequence[Sequence[float]]]) -> Costs:
    """Read what `main` printed."""
    return {title: [Cost(*cost) for cost in costs] for title, costs in answer.items()}


class Loop:
    """A loop around one call of one client, long enough to be timed."""

    def __init__(self, client: Client, call: Call, seconds: float) -> None:
        self._client = client
        # timeit turns the garbage collector off; a service has it on.
        self._timer = timeit.Timer(
            call.statement, "enable()", globals={**client.names, "enable": gc.enable}
        )
        self._number = 1
        # The first calls are slower than all others.
        for trial in (100, 1_000, None):
            number = trial or int(seconds / max(self.run().wall / 1e9, 1e-9))
            self._number = max(1, min(number, call.most or number))

    def run(self) -> Cost:
        """Run once; return the cost of one turn."""
        number = self._number
        self._client.settle()
        gc.collect()
        began = time.process_time_ns()
        seconds = self._client.run(lambda: self._timer.timeit(number))
        self._client.settle()
        return Cost(seconds / number * 1e9, (time.process_time_ns() - began) / number)


def measure(port: int, rounds: int, seconds: float) -> Costs:
    """Measure all calls on this Python."""
    made = {name: start(port) for name, start in CLIENTS.items()}
    empty = Loop(clients.Client({}), _EMPTY, seconds)
    loops = {call.title: Loop(made[call.client], call, seconds) for call in CALLS}
    costs: Costs = {title: [] for title in loops}
    for _ in range(rounds):
        nothing = empty.run()
        for title, loop in loops.items():
            cost = loop.run()
            costs[title].append(Cost(cost.wall - nothing.wall, cost.cpu - nothing.cpu))
    return costs


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    print(json.dumps(measure(options.port, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
