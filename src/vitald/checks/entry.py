"""One check under the scheduler: what it is, what is known of it, and when it is due."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from vitald.checks.base import CheckReport, Counters, Observation, Result
from vitald.checks.state import CheckState, Policy, Transition, advance, expire, withhold
from vitald.status import Status

if TYPE_CHECKING:
    import asyncio

    from vitald.checks.outcome import Outcome, Runner
    from vitald.checks.spec import CheckSpec
    from vitald.clock import Instant


class Entry:
    """Slots lie on a grid: `slot` is `phase` + k * `interval` on the monotonic clock.

    `due` is when the slot is really looked at: the same plus jitter, or a moment after the start.
    """

    def __init__(self, spec: CheckSpec, runner: Runner) -> None:
        self.spec = spec
        self.runner = runner
        self.policy = Policy(spec.fail_after, spec.recover_after, spec.stale_after)
        self.state = CheckState()
        self.counters = Counters()
        self.running: asyncio.Task[None] | None = None
        self.slot = self.due = -math.inf
        self.gave_up_at: float | None = None
        self.removed = False
        self._duration: float | None = None
        self._last_run: float | None = None
        self._found: tuple[Observation, ...] = ()

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the counters."""
        self.counters = replace(self.counters, **{name: getattr(self.counters, name) + by})

    def start(self, now: float, spread: float) -> None:
        """Make the first run due within `spread` seconds; the grid goes on after it.

        The first slot is the first that leaves at least half an interval between the two.
        """
        interval = self.spec.interval
        self.due = now + self.spec.phase / interval * spread
        self.slot = self._slot_after(self.due + interval / 2) - interval

    def next_slot(self, now: float, jitter: float) -> None:
        """Move on to the first slot after `now`; the slots between that went by are missed."""
        coming = self.slot + self.spec.interval
        if coming <= now:
            coming = self._slot_after(now)
            gone_by = round((coming - self.slot) / self.spec.interval) - 1
            self.count("missed", gone_by)
        self.slot = coming
        self.due = coming + jitter

    def finish(self, outcome: Outcome, now: Instant) -> Transition | None:
        """Take what a run came to."""
        self._duration = outcome.seconds
        self._last_run = now.wall
        self.gave_up_at = now.monotonic if outcome.timed_out else None
        if outcome.timed_out:
            self.count("timed_out")
        self.state, transition = advance(
            self.state, self._with_every_number(outcome.result), now, self.policy
        )
        return transition

    def block(self, now: Instant) -> Transition | None:
        """Take a slot in which the abandoned run still hangs: a failure like the time-out was."""
        self.count("blocked")
        message = "the run that timed out still hangs"
        if self.gave_up_at is not None:
            message += f" after {now.monotonic - self.gave_up_at:.0f} s"
        hangs = Result(Status.CRITICAL, message)
        self.state, transition = advance(
            self.state, self._with_every_number(hangs), now, self.policy
        )
        return transition

    def hold(self, parent: str, now: Instant, *, settled: bool) -> None:
        """Take a slot in which the check is not run because `parent` fails."""
        self.count("withheld")
        self.state = withhold(self.state, parent, now, settled=settled)

    def expire(self, now: Instant) -> Transition | None:
        """Let time pass."""
        self.state, transition = expire(self.state, now, self.policy)
        return transition

    @property
    def undecided(self) -> bool:
        """Tell whether it has neither run yet nor been held back."""
        return self.state.result is None and not self.state.parent

    @property
    def failing(self) -> bool:
        """Tell whether it makes no sense now to run checks that depend on this one."""
        result = self.state.result
        critical = result is not None and result.status is Status.CRITICAL
        return critical or bool(self.state.parent)

    @property
    def failure_settled(self) -> bool:
        """Tell whether that is confirmed and reported."""
        return self.state.settled is Status.CRITICAL or self.state.parent_settled

    def status_observation(self) -> Observation:
        """Return the reported status as it enters the engine."""
        tags = (("check", self.spec.name),)
        return Observation(self.spec.status_metric, float(self.state.status), tags)

    def observations(self) -> list[Observation]:
        """Return the last result's numbers as they enter the engine."""
        found = self.state.result.observations if self.state.result else ()
        if self.spec.machine_wide:
            return list(found)
        return [self._tagged(item) for item in found]

    def report(self, now: Instant) -> CheckReport:
        """Return what `health` shows."""
        state = self.state
        known = state.stale_since is None and not state.parent_settled
        found = state.result.observations if state.result else ()
        status = state.status
        unhealthy = self.spec.connectivity and status is Status.CRITICAL
        return CheckReport(
            name=self.spec.name,
            type=self.spec.type,
            status=status,
            label="unhealthy" if unhealthy else status.word,
            message=self._message(now),
            since=state.since,
            last_run=self._last_run,
            duration_seconds=self._duration,
            flags=(*state.flags, *(("hung",) if self.runner.hung else ())),
            observations={item.key: item.value if known else None for item in found},
            raw=state.result,
            counters=self.counters,
        )

    def _message(self, now: Instant) -> str:
        state = self.state
        if state.parent:
            return f"not run: it depends on {state.parent}, which fails"
        if state.result is None or state.seen is None:
            return "has not run yet"
        text = state.result.message
        if state.stale_since is not None:
            return f"no result for {now.monotonic - state.seen.monotonic:.0f} s; before: {text}"
        if state.streak == 0 or state.flapping:
            return text
        needed = self.policy.fail_after if state.streak > 0 else self.policy.recover_after
        return f"{text} ({abs(state.streak)} of {needed} in a row)"

    def _with_every_number(self, result: Result) -> Result:
        """Return the result; one without numbers gets those of before, as unavailable."""
        if result.observations:
            self._found = result.observations
            return result
        gone = tuple(replace(item, value=None) for item in self._found)
        return replace(result, observations=gone)

    def _slot_after(self, moment: float) -> float:
        """Return the grid's first slot later than `moment`."""
        interval, phase = self.spec.interval, self.spec.phase
        number = math.floor((moment - phase) / interval) + 1
        slot = phase + number * interval
        return slot if slot > moment else slot + interval

    def _tagged(self, item: Observation) -> Observation:
        if any(key == "check" for key, _ in item.tags):
            return item
        tags = tuple(sorted((*item.tags, ("check", self.spec.name))))
        return replace(item, tags=tags)
