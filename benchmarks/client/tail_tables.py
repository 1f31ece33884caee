"""The tables of `tails`: the worst rows beside the goal, then every row."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.client.tails import (
    BURST,
    LOADS,
    NOTHING,
    PAUSE,
    SHARES,
    SPIN,
    SPUN,
    spin_title,
    titles,
)
from benchmarks.tables import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.client.tails import Load, Tails

GOAL = 100.0
STATES = ("up", "stopped", "absent")

METHOD = (
    "Every call is timed by itself, by two readings of the clock, which are in the number (row "
    "`nothing`), with the sidecar up, stopped (SIGSTOP) and absent, and three kinds of callers: "
    "{loads}. Paced threads make {burst} calls and sleep for {pause:g} ms, as a service that does "
    "other things; without pauses all eight want the GIL all the time. Rounds: {rounds}, all calls "
    "in turn; shown are the medians of the rounds' quantiles, in microseconds. Rows `{spin}` run "
    "no client at all: a loop of pure Python that takes as long as the call, by the same threads. "
    "A thread is preempted once every 5 ms of running (`sys.getswitchinterval`) and comes back "
    "after seven others had as much: of calls that take 0.5 us one in 10,000 has such a wait, "
    "whatever is called. {versions}."
)


class Worst(NamedTuple):
    """The row with the longest p99.99, in microseconds."""

    title: str
    microseconds: float


# By Python, by state of the sidecar.
Found = dict[str, dict[str, "Tails"]]


def reports(found: Found, *, rounds: int, versions: str) -> Iterator[Report]:
    """Make tables of what was measured on each Python."""
    yield _summary(found, rounds, versions)
    for load in LOADS:
        for state in STATES:
            yield _details(found, load, state)


def worst(tails: Mapping[str, list[list[float]]], wanted: str) -> Worst:
    """Return the worst of the rows whose titles begin so."""
    rows = {
        title: median_quantiles(rounds)[-1]
        for title, rounds in tails.items()
        if title.startswith(wanted)
    }
    title = max(rows, key=lambda one: rows[one])
    return Worst(title, rows[title])


def floor(title: str) -> str:
    """Return the row that shows what a call's length alone costs."""
    return next((spin_title(call) for call in SPUN if call.title == title), NOTHING)


def median_quantiles(rounds: list[list[float]]) -> list[float]:
    """Return the median of the rounds for each share."""
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def _summary(found: Found, rounds: int, versions: str) -> Report:
    rows = []
    for load in LOADS:
        for state in STATES:
            for version, states in found.items():
                tails = states[state][load.title]
                ours = worst(tails, "vitald: ")
                mark = "" if ours.microseconds < GOAL else ", missed"
                rows.append(
                    (
                        f"{load.title}; {state}; {version}",
                        f"{_number(ours.microseconds)}{mark}",
                        f"< {GOAL:g}",
                        _number(worst(tails, floor(ours.title)).microseconds),
                        _number(worst(tails, "statsd: ").microseconds),
                        ours.title.removeprefix("vitald: "),
                    )
                )
    return Report(
        "What a call costs at worst: p99.99 of vitald's worst call, in microseconds",
        METHOD.format(
            loads="; ".join(load.title for load in LOADS),
            burst=BURST,
            pause=PAUSE * 1e3,
            rounds=rounds,
            spin=SPIN,
            versions=versions,
        ),
        ("callers; sidecar; Python", "vitald", "goal", SPIN, "statsd", "vitald's worst call"),
        rows,
    )


def _details(found: Found, load: Load, state: str) -> Report:
    shares = [f"p{share * 100:g}" for share in SHARES]
    rows = []
    for title in titles():
        numbers = [
            _number(value)
            for states in found.values()
            for value in median_quantiles(states[state][load.title][title])
        ]
        rows.append((_row_title(title), *numbers))
    return Report(
        f"{load.title}, sidecar {state}: microseconds of a call",
        "Measured as above.",
        ("", *(f"{version} {share}" for version in found for share in shares)),
        rows,
    )


def _row_title(title: str) -> str:
    # It stands below its call.
    return f"  {SPIN}" if title.startswith(SPIN) else title


def _number(microseconds: float) -> str:
    return f"{microseconds:.2f}" if microseconds < 10 else f"{microseconds:,.0f}"
