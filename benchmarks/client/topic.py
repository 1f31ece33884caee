"""Runs the measuring modules on each Python, against a sidecar in each state."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.client import calls, flusher, imports, interpreters, tail_tables
from benchmarks.processes import free_port
from benchmarks.receivers import Vitald

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort
    from benchmarks.tables import Report

CALL_ROUNDS = 11
TAIL_ROUNDS = 3


def reports(effort: Effort) -> Iterator[Report]:
    """Measure; takes less than four minutes in full, and the time to install what is missing."""
    pythons = interpreters.chosen()
    versions = interpreters.versions(pythons)
    environments = [interpreters.Environment(python) for python in pythons]
    rounds = effort.of(CALL_ROUNDS)
    with sidecar("up") as port:
        costs = {
            one.title: calls.parse(one.measure("calls", port, "--rounds", rounds))
            for one in environments
        }
        yield from calls.reports(costs, rounds=rounds, versions=versions)
        events = effort.of(flusher.EVENTS)
        spent = {
            one.title: flusher.parse(one.measure("flusher", port, "--events", events))
            for one in environments
        }
    yield flusher.report(spent, events=events, versions=versions)
    yield from _tails(environments, effort, versions)
    processes = effort.of(imports.PROCESSES)
    imported = {one.title: imports.measure(one, processes) for one in environments}
    yield imports.report(imported, processes=processes, versions=versions)


def _tails(
    environments: list[interpreters.Environment], effort: Effort, versions: str
) -> Iterator[Report]:
    rounds = effort.of(TAIL_ROUNDS)
    found: tail_tables.Found = {one.title: {} for one in environments}
    for state in tail_tables.STATES:
        for one in environments:
            # A fresh one each time: a full queue is the next client's, too.
            with sidecar(state) as port:
                found[one.title][state] = one.measure(
                    "tails", port, "--rounds", rounds, "--share", effort.share
                )
    yield from tail_tables.reports(found, rounds=rounds, versions=versions)


@contextmanager
def sidecar(state: str) -> Iterator[int]:
    """Yield the port of a sidecar without checks in this state: up, stopped or absent."""
    if state == "absent":
        yield free_port()
        return
    with tempfile.TemporaryDirectory(prefix="vitald-bench-") as directory:
        running = Vitald(Path(directory), more="checks: {}\n")
        try:
            if state == "stopped":
                running.process.suspend()
            yield running.port
        finally:
            running.process.resume()
            running.process.stop()
