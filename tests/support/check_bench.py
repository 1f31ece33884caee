"""A scheduler on a fake clock, for the tests of what it does."""

from __future__ import annotations

from vitald.checks.base import Result
from vitald.checks.scheduler import FIRST_RUNS_WITHIN, Scheduler
from vitald.checks.spec import CheckSpec
from vitald.status import Status

GOOD = Result(Status.HEALTHY, "good")
BAD = Result(Status.CRITICAL, "bad")


class Bench:
    """A scheduler on a fake clock, what it emitted and told, and scripts for its checks."""

    def __init__(self, samples, time):
        self.samples = samples
        self.time = time
        self.emitted = []
        self.durations = []
        self.transitions = []
        self.starts = {}
        self.scheduler = None

    def spec(self, name, *, interval=30.0, timeout=5.0, **more):
        self.script(name)
        return CheckSpec(
            name,
            more.pop("type", "sample"),
            more.pop("factory", "sample_checks:Scripted"),
            more.pop("options", {"script": name}),
            more.pop("isolation", "loop"),
            interval=interval,
            timeout=timeout,
            **more,
        )

    def script(self, name):
        return self.samples.SCRIPTS.setdefault(name, self.samples.Script())

    def make(self, *specs, jitter=lambda: 0.0):
        self.scheduler = Scheduler(
            specs,
            clock=self.time,
            emit=self.emit,
            on_transition=lambda spec, transition: self.transitions.append((spec.name, transition)),
            sleep=self.time.sleep,
            jitter=jitter,
        )
        return self.scheduler

    async def begin(self, *specs, **more):
        """Start, and let the first runs happen."""
        self.make(*specs, **more).start()
        await self.time.advance(FIRST_RUNS_WITHIN)

    async def pass_slots(self, name, count=1):
        """Let exactly `count` slots of a check come, however far off they are."""
        for _ in range(count):
            await self.time.advance(self.scheduler._entries[name].due - self.time.monotonic)

    def emit(self, observations, durations):
        self.emitted += observations
        self.durations += durations
        for name, _ in durations:
            self.starts.setdefault(name, []).append(self.time.monotonic)

    def report(self, name):
        return next(report for report in self.scheduler.reports() if report.name == name)

    def statuses(self, name):
        key = f"sample_status{{check={name}}}"
        return [item.value for item in self.emitted if item.key == key]
