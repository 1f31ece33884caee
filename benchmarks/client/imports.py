"""What importing costs, in fresh processes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.tables import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.client.interpreters import Environment

BASELINE = "import statsd"
HELD = ("import vitald", "from vitald import Client")
STATEMENTS = (
    BASELINE,
    *HELD,
    "from vitald.client import StatsClient",
    "from datadog.dogstatsd import DogStatsd",
    "import prometheus_client",
    "import aiodogstatsd",
)
PROCESSES = 11

_SCRIPT = """
import sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4
before = resident()
start = time.perf_counter()
{statement}
print((time.perf_counter() - start) * 1e3, resident() - before)
"""

METHOD = (
    "The time of the statement in a fresh process that has imported nothing else, and what it adds "
    "to the resident memory; medians of {processes} processes each, in turn, after one that is not "
    "counted, so that everything is compiled. vitald's StatsClient includes statsd. {versions}."
)


class Cost(NamedTuple):
    """Of one import."""

    milliseconds: float
    kibibytes: float


Costs = dict[str, Cost]


def report(found: Mapping[str, Costs], *, processes: int, versions: str) -> Report:
    """Make a table of what was measured on each Python."""
    return Report(
        "Importing",
        METHOD.format(processes=processes, versions=versions),
        ("", *(f"{title} {what}" for title in found for what in ("ms", "KiB")), "goal"),
        [
            (statement, *_cells(found, statement), f"<= {BASELINE}" if statement in HELD else "")
            for statement in STATEMENTS
        ],
    )


def _cells(found: Mapping[str, Costs], statement: str) -> Iterator[str]:
    for costs in found.values():
        yield f"{costs[statement].milliseconds:.2f}"
        yield f"{costs[statement].kibibytes:,.0f}"


def measure(environment: Environment, processes: int) -> Costs:
    """Start so many processes for each statement."""
    found: dict[str, list[Cost]] = {statement: [] for statement in STATEMENTS}
    for number in range(processes + 1):
        for statement, costs in found.items():
            output = environment.run("-c", _SCRIPT.format(statement=statement))
            if number:
                costs.append(Cost(*map(float, output.split())))
    return {
        statement: Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))
        for statement, costs in found.items()
    }
