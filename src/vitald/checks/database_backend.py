"""What the `database` check asks of each kind of database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """What a database that answers said.

    `connections` counts those of others, without the check's own; None where that cannot be told.
    `limit` is how many the server accepts, None where there is no limit or it is not known.
    """

    server: str
    connections: int | None = None
    limit: int | None = None
    noun: str = "connection"


class UnhealthyError(Exception):
    """The database does not do what it should; the message is the cause, in one line."""


class Backend(Protocol):
    """One kind of database. It is built in the process that uses it, where it imports its driver.

    Building raises ImportError when the driver is missing and ValueError when the URL asks for
    something that this kind does not have.
    """

    @property
    def title(self) -> str:
        """Name the database for people, without secrets."""
        ...

    def look(self, deadline: Deadline) -> Reading:
        """Connect, ask, disconnect.

        Every look connects anew: that is what an application does next, and a kept connection
        would either hide that no new one is possible or report a server's restart as a failure.
        Raises UnhealthyError, OSError, or the driver's own error.
        """
        ...


class Deadline:
    """A moment on the monotonic clock, as the seconds that are left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def query_time(self) -> float:
        """Return the seconds that the database may work on a query.

        The database is to end it, and say so, before the check does: a query whose client has left
        would go on, and the next run would start another.
        """
        return self.left() * 0.9
