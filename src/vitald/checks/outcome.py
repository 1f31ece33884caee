"""What one run came to, and what runs it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from vitald.checks.base import Result
from vitald.status import Status


class Outcome(NamedTuple):
    """One run: what it found, how long it took, and whether it was given up at its deadline.

    `lost` says that the process which should have run it was gone.
    """

    result: Result
    seconds: float
    timed_out: bool = False
    lost: bool = False


class Runner(Protocol):
    """Runs one check, again and again, never twice at the same time."""

    @property
    def hung(self) -> bool:
        """Tell whether a run that was given up still goes on."""
        ...

    async def run(self) -> Outcome:
        """Run the check once; returns by its deadline whatever the check does, and never raises."""
        ...

    async def close(self) -> None:
        """End what can be ended, in bounded time."""
        ...


def gave_up(timeout: float, seconds: float) -> Outcome:
    """Return the outcome of a run that went past its deadline."""
    return Outcome(Result(Status.CRITICAL, f"timed out after {timeout:g} s"), seconds, True)
