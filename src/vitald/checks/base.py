"""What a check is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from vitald.metric import Tags
    from vitald.status import Status

# Where a check runs. `loop`: a coroutine that only waits on sockets. `thread`: short blocking
# calls into the kernel. `process`: third-party drivers, in a worker that can be killed.
Isolation = Literal["loop", "thread", "process"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A number that a check read; it enters the engine as a gauge named `name`.

    None means that it could not be read: shown as unavailable, sent nowhere, never as 0.
    """

    name: str
    value: float | None
    tags: Tags = ()

    @property
    def key(self) -> str:
        """Return what `health` calls it: `name` or `name{tag=value,…}`."""
        if not self.tags:
            return self.name
        return f"{self.name}{{{','.join(f'{key}={value}' for key, value in self.tags)}}}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found: status, one line for people, numbers for machines."""

    status: Status
    message: str
    observations: tuple[Observation, ...] = field(default=())


class Check(Protocol):
    """A check is one method.

    The class is found through the entry-point group `vitald.checks`. Its attribute `Options` is a
    pydantic model (a subclass of `vitald.config.options.CheckOptions`); it is built as
    `cls(**options)` with the model's own fields (not the scheduling ones) as keywords, in the
    process that runs it, and kept from run to run.

    Three class attributes are optional. `machine_wide` (False when left out) is True for checks
    whose numbers describe the whole machine, like the load: all other numbers are tagged
    `check=NAME`, so that two checks of one type do not overwrite each other. `status_metric` names
    the status gauge (`<type>_status` when left out). `takes_timeout` (False when left out) is True
    for checks that also want the keyword `timeout`, in seconds, to say what they were waiting for
    when it is nearly over.
    """

    Options: ClassVar[type]
    isolation: ClassVar[Isolation]
    connectivity: ClassVar[bool]

    def run(self) -> Result | Awaitable[Result]:
        """Look once.

        An exception is a failure (critical) with its message. `ImportError` and `PermissionError`
        mean that the check could not look: unknown. No check has to time itself: the scheduler
        abandons a run past its deadline, and kills it where it can be killed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Counters:
    """What became of a check's slots since the sidecar started (or the check last changed).

    runs        runs started
    missed      slots that went by because the last run was still going or the loop was late
    timed_out   runs abandoned at their deadline
    blocked     slots in which an abandoned run still hung, so that no new one was started
    withheld    slots in which a check that this one depends on was failing
    """

    runs: int = 0
    missed: int = 0
    timed_out: int = 0
    blocked: int = 0
    withheld: int = 0


@dataclass(slots=True)
class CheckReport:
    """What `health` shows of one check; times are Unix seconds, None before the first run.

    `label` is `healthy`/`unhealthy` for connectivity checks and the status word otherwise.
    `flags`: `pending` never ran; `stale` gives no results any more; `flapping` changes too often;
    `dep` is not run because a check it depends on fails; `hung` has a run that cannot be ended.
    `observations` has one entry per number, keyed `name` or `name{tag=value,…}`.
    `raw` is the last run's own result, before `fail_after` and `recover_after`.
    """

    name: str
    type: str
    status: Status
    label: str
    message: str
    since: float | None
    last_run: float | None
    duration_seconds: float | None
    flags: tuple[str, ...] = ()
    observations: Mapping[str, float | None] = field(default_factory=dict)
    raw: Result | None = None
    counters: Counters = field(default_factory=Counters)
