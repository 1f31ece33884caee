"""Health statuses; the numbers are Nagios' exit codes and Datadog's service-check codes."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What a check found."""

    HEALTHY = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def word(self) -> str:
        """Return the status as users write it: `healthy`, `warning`, `critical`, `unknown`."""
        return self.name.lower()


# Worst first. An unknown check hides what it watches, so it outranks a warning but not a
# confirmed outage.
SEVERITY = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.HEALTHY)


def worst(statuses: list[Status]) -> Status:
    """Return the most severe of `statuses`; HEALTHY when there are none."""
    return min(statuses, key=SEVERITY.index, default=Status.HEALTHY)
