"""From what single runs found to what is reported: a pure state machine.

    pending --first result--> settled          the first result is reported at once
    settled --fail_after worse in a row------> the latest of them
    settled --recover_after better in a row--> the latest of them
    any     --no result for stale_after------> unknown, flagged stale, until the next result
    any     --a check it depends on fails----> not run, flagged dep; unknown once that is settled

A check whose results change too often is flapping: over its last 21 results, each change between
neighbours weighs from 0.8 (oldest) to 1.2 (newest), and the sum is a percentage of all 20. Above
50 % it starts to flap and shows the worst of those results, below 25 % it stops. While it flaps it
can get worse but not better, so that people hear of it once. The algorithm is Nagios'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from vitald.status import SEVERITY, Status, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.checks.base import Result
    from vitald.clock import Instant

HISTORY = 21
FLAPPING_ABOVE = 50.0
STEADY_BELOW = 25.0


@dataclass(frozen=True, slots=True)
class Policy:
    """When a result counts. `stale_after` is in seconds."""

    fail_after: int = 3
    recover_after: int = 2
    stale_after: float = 90.0


@dataclass(frozen=True, slots=True)
class Transition:
    """A change that is worth telling people; `at` is in Unix seconds.

    `before` is None when this was the first result. A change of `flapping` alone is told too, so
    `before` may equal `after`.
    """

    before: Status | None
    after: Status
    message: str
    at: float
    flapping: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class CheckState:
    """Everything remembered of one check; times are Unix seconds unless they are instants.

    `settled` is the confirmed status, None before the first result. `streak` counts the latest
    results in a row that are worse (positive) or better (negative) than it. `parent` names the
    failing check that this one waits for; `parent_settled` says that its failure is confirmed.
    """

    settled: Status | None = None
    settled_since: float | None = None
    result: Result | None = None
    seen: Instant | None = None
    streak: int = 0
    history: tuple[Status, ...] = ()
    flapping: bool = False
    stale_since: float | None = None
    parent: str = ""
    parent_settled: bool = False
    parent_since: float | None = None

    @property
    def status(self) -> Status:
        """Return the reported status."""
        if self.settled is None or self.parent_settled or self.stale_since is not None:
            return Status.UNKNOWN
        return self.settled

    @property
    def since(self) -> float | None:
        """Return since when the reported status holds."""
        if self.parent_settled:
            return self.parent_since
        return self.settled_since if self.stale_since is None else self.stale_since

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what stands beside the status."""
        shown = {
            "pending": self.settled is None,
            "stale": self.stale_since is not None,
            "flapping": self.flapping,
            "dep": bool(self.parent),
        }
        return tuple(flag for flag, on in shown.items() if on)


def advance(
    state: CheckState, result: Result, now: Instant, policy: Policy
) -> tuple[CheckState, Transition | None]:
    """Take one result."""
    raw = result.status
    history = (*state.history, raw)[-HISTORY:]
    changes = change_percent(history)
    flapping = changes >= STEADY_BELOW if state.flapping else changes > FLAPPING_ABOVE
    streak = _streak(state, raw)
    settled = _settle(state, raw, streak, policy, flapping=flapping, history=history)
    changed = settled is not state.settled
    if changed:
        streak = _direction(settled, raw)
    after = replace(
        state,
        settled=settled,
        settled_since=now.wall if changed else state.settled_since,
        result=result,
        seen=now,
        streak=streak,
        history=history,
        flapping=flapping,
        stale_since=None,
        parent="",
        parent_settled=False,
        parent_since=None,
    )
    was_stale = state.stale_since is not None
    if not (changed or was_stale or flapping != state.flapping):
        return after, None
    before = Status.UNKNOWN if was_stale else state.settled
    return after, Transition(before, settled, result.message, now.wall, flapping=flapping)


def expire(state: CheckState, now: Instant, policy: Policy) -> tuple[CheckState, Transition | None]:
    """Let time pass: without results a check becomes stale, unless it is not run on purpose."""
    if state.seen is None or state.settled is None or state.parent:
        return state, None
    age = now.monotonic - state.seen.monotonic
    if state.stale_since is not None or age <= policy.stale_after:
        return state, None
    message = f"no result for {age:.0f} s"
    transition = Transition(
        state.settled, Status.UNKNOWN, message, now.wall, flapping=state.flapping, stale=True
    )
    return replace(state, stale_since=now.wall), transition


def withhold(state: CheckState, parent: str, now: Instant, *, settled: bool) -> CheckState:
    """Note that the check was not run because `parent` fails. Nobody is told: they know of that.

    While the parent's failure is not `settled`, the last status stands. A parent's failure says
    nothing about this check, so its own history and streak stay as they were.
    """
    newly_hidden = settled and not state.parent_settled
    return replace(
        state,
        parent=parent,
        parent_settled=settled,
        parent_since=now.wall if newly_hidden else state.parent_since,
    )


def change_percent(history: Sequence[Status]) -> float:
    """Return the weighted share of changes, 0 to 100; results not yet seen count as no change."""
    pairs = list(pairwise(history))
    newest = HISTORY - 2
    total = 0.0
    for age, (earlier, later) in enumerate(reversed(pairs)):
        if earlier is not later:
            total += 0.8 + 0.4 * (newest - age) / newest
    return total * 100.0 / (HISTORY - 1)


def _direction(settled: Status | None, raw: Status) -> int:
    """Return 1 when `raw` is worse than `settled`, -1 when it is better, 0 when it is the same."""
    if settled is None or raw is settled:
        return 0
    return 1 if SEVERITY.index(raw) < SEVERITY.index(settled) else -1


def _streak(state: CheckState, raw: Status) -> int:
    direction = _direction(state.settled, raw)
    goes_on = direction * state.streak > 0
    return state.streak + direction if goes_on else direction


def _settle(
    state: CheckState,
    raw: Status,
    streak: int,
    policy: Policy,
    *,
    flapping: bool,
    history: tuple[Status, ...],
) -> Status:
    if state.settled is None:
        return raw
    if flapping and not state.flapping:
        return worst([state.settled, *history])
    if streak >= policy.fail_after:
        return raw
    if not flapping and -streak >= policy.recover_after:
        return raw
    return state.settled
