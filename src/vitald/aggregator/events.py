"""The event log: what happened, as opposed to how much."""

from __future__ import annotations

from collections import deque
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vitald.aggregator.documents import rfc3339
from vitald.status import Status

if TYPE_CHECKING:
    from vitald.aggregator.documents import Json
    from vitald.aggregator.interval import Interval
    from vitald.clock import Clock
    from vitald.metric import Event, ServiceCheck, Tags

DEFAULT_LIMIT = 500
# A datagram holds 64 KiB; a thousand such texts must not be what fills the sidecar's memory.
MAX_TITLE = 255
MAX_TEXT = 4000


class Entry(NamedTuple):
    """One event. `number` counts up over the sidecar's life and gives the order of arrival.

    `time` is in Unix seconds: the sender's own when it gave one that a calendar holds. `kind` is
    `event` or `service_check` (received), `transition`, `reload` or `sidecar` (our own).
    """

    number: int
    time: float
    kind: str
    title: str
    text: str
    tags: Tags
    details: Json

    def document(self) -> Json:
        """Return the entry of an events document."""
        return {
            "number": self.number,
            "time": rfc3339(self.time),
            "kind": self.kind,
            "title": self.title,
            "text": self.text,
            "tags": dict(self.tags),
            **self.details,
        }


class Change(Protocol):
    """What is read of a check's transition; `vitald.checks.state.Transition` has this shape."""

    @property
    def before(self) -> Status | None: ...
    @property
    def after(self) -> Status: ...
    @property
    def message(self) -> str: ...
    @property
    def flapping(self) -> bool: ...
    @property
    def stale(self) -> bool: ...


class EventLog:
    """The last `limit` received events and, apart from them, the last `limit` of our own.

    They are kept apart so that a service which floods the sidecar with events cannot push out
    what the sidecar itself has to say. `received` and `own` count all there ever were.
    """

    def __init__(self, clock: Clock, limit: int = DEFAULT_LIMIT) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._received: deque[Entry] = deque(maxlen=limit)
        self._own: deque[Entry] = deque(maxlen=limit)
        self.received = 0
        self.own = 0

    def add(
        self, kind: str, title: str, text: str = "", tags: Tags = (), **details: object
    ) -> None:
        """Record an event of the sidecar's own (`transition`, `reload`, `sidecar`)."""
        self.own += 1
        self._own.append(self._entry(kind, title, text, tags)._replace(details=details))

    def add_transition(self, check: str, change: Change) -> None:
        """Record that what is reported of a check changed."""
        was = "pending" if change.before is None else change.before.word
        flags = [flag for flag in ("flapping", "stale") if getattr(change, flag)]
        self.add(
            "transition",
            f"{check}: {was} -> {change.after.word}",
            change.message,
            (("check", check),),
            status=change.after.word,
            code=int(change.after),
            flags=flags,
        )

    def add_interval(self, interval: Interval) -> None:
        """Record the events and service checks that were received in `interval`."""
        for event in interval.events:
            self.add_event(event)
        for check in interval.service_checks:
            self.add_service_check(check)

    def add_event(self, event: Event) -> None:
        """Record a DogStatsD event."""
        self._receive(
            self._entry("event", event.title, event.text, event.tags, event.timestamp),
            host=event.host,
            alert_type=event.alert_type,
            priority=event.priority,
            aggregation_key=event.aggregation_key,
            source_type=event.source_type,
        )

    def add_service_check(self, check: ServiceCheck) -> None:
        """Record a DogStatsD service check."""
        status = Status(check.status)
        self._receive(
            self._entry("service_check", check.name, check.message, check.tags, check.timestamp),
            host=check.host,
            status=status.word,
            code=int(status),
        )

    def documents(self, limit: int | None = None) -> list[Json]:
        """Return the last `limit` events, the newest first."""
        entries = sorted((*self._received, *self._own), key=attrgetter("number"), reverse=True)
        return [entry.document() for entry in entries[:limit]]

    def _receive(self, entry: Entry, **details: object) -> None:
        short = {
            key: value[:MAX_TITLE] if isinstance(value, str) else value
            for key, value in details.items()
        }
        self.received += 1
        self._received.append(entry._replace(details=short))

    def _entry(
        self, kind: str, title: str, text: str, tags: Tags, timestamp: float | None = None
    ) -> Entry:
        if timestamp is None or rfc3339(timestamp) is None:
            timestamp = self._clock.now().wall
        number = next(self._numbers)
        return Entry(number, timestamp, kind, title[:MAX_TITLE], text[:MAX_TEXT], tags, {})
