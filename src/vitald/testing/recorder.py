"""A client that sends nothing, and asserts what it would have sent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from vitald.client.client import Client
from vitald.metric import Event, ServiceCheck
from vitald.testing.arguments import arguments
from vitald.testing.failures import Wanted, unmet, unwanted
from vitald.testing.inline import record_on_tape
from vitald.testing.matchers import ANY
from vitald.testing.records import (
    EVENT,
    METRIC_TYPES,
    SERVICE_CHECK,
    check_type,
    gather,
    level,
    read_lines,
    status_of,
    status_text,
    total,
)
from vitald.wire.encode import clean_member

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Unpack

    from vitald.testing.arguments import ClientOptions
    from vitald.testing.matchers import TagsWanted
    from vitald.testing.records import Record


class RecordingClient(Client):
    """A `Client` whose datagrams go into a record: no socket, no thread, the rest as it is.

    What is asserted is what would have been sent, so prefix, constant tags and sampling are in it,
    and a name is what is on the wire. Assertions, `records` and `lines` flush first; all that was
    recorded since the beginning, or the last `clear`, counts.

    `tags` are those that must be there, others may be; `only(tags)` allows no others. Without
    `tags`, all series of a name count. A name may be a shell glob. `ANY`, `approx(…)` and whatever
    else defines equality may stand for any value. The environment is not looked at.
    """

    def __init__(self, url: str | None = None, **options: Unpack[ClientOptions]) -> None:
        super().__init__(**arguments(url, options))
        self._tape = record_on_tape(self._flusher)
        self._records: list[Record] = []
        self._read = 0

    # The record.

    def lines(self) -> list[str]:
        """Return the lines that would have been sent, in their order."""
        self.flush()
        return _lines_of(self._tape.datagrams)

    def records(
        self,
        name: str | None = None,
        *,
        type: str | None = None,  # noqa: A002  the word of the field
        tags: TagsWanted = None,
    ) -> list[Record]:
        """Return every value that would have been sent, those asked for, in their order."""
        check_type(type, (*METRIC_TYPES, EVENT, SERVICE_CHECK))
        self.flush()
        fresh = self._tape.datagrams[self._read :]
        self._read += len(fresh)
        self._records += read_lines(_lines_of(fresh))
        return [record for record in self._records if record.matches(name, type, tags)]

    def clear(self) -> None:
        """Forget what was recorded."""
        self.flush()
        self._tape.datagrams.clear()
        self._records.clear()
        self._read = 0

    # Numbers.

    def assert_incr(self, name: str, count: object = 1, *, tags: TagsWanted = None) -> None:
        """Assert that a counter's increments, weighted by their rates, add up to `count`."""
        __tracebackhide__ = True
        self._assert(
            Wanted(name, "counter", tags, f"total {count!r}"),
            lambda found: bool(count == total(found) and (found or not _is_any(count))),
        )

    def assert_gauge(self, name: str, value: object = ANY, *, tags: TagsWanted = None) -> None:
        """Assert that a gauge is at `value` now."""
        __tracebackhide__ = True
        self._assert(
            Wanted(name, "gauge", tags, f"level {value!r}"),
            lambda found: any(value == level(series.records) for series in gather(found)),
        )

    def assert_timing(
        self,
        name: str,
        ms: object = ANY,
        *,
        count: object = None,
        tags: TagsWanted = None,
    ) -> None:
        """Assert that a timer has such a sample, or `count` of them; a timedelta is one, too."""
        __tracebackhide__ = True
        if isinstance(ms, timedelta):
            ms = ms.total_seconds() * 1000.0
        self._assert_sample(Wanted(name, "timer", tags), ms, count)

    def assert_histogram(
        self, name: str, value: object = ANY, *, count: object = None, tags: TagsWanted = None
    ) -> None:
        """Assert that a histogram has such a sample, or `count` of them."""
        __tracebackhide__ = True
        self._assert_sample(Wanted(name, "histogram", tags), value, count)

    def assert_distribution(
        self, name: str, value: object = ANY, *, count: object = None, tags: TagsWanted = None
    ) -> None:
        """Assert that a distribution has such a sample, or `count` of them."""
        __tracebackhide__ = True
        self._assert_sample(Wanted(name, "distribution", tags), value, count)

    def assert_set(
        self, name: str, member: object = ANY, *, count: object = None, tags: TagsWanted = None
    ) -> None:
        """Assert that a set has a member, or `count` distinct such members."""
        __tracebackhide__ = True
        text = clean_member(member)

        def is_met(found: Sequence[Record]) -> bool:
            members = {one.value for one in found if one.value in (text, member)}
            return _is_amount(count, len(members))

        self._assert(Wanted(name, "set", tags, _amount("member", member, count)), is_met)

    # Events and service checks.

    def assert_event(
        self, title: str, text: object = ANY, *, tags: TagsWanted = None, **fields: object
    ) -> None:
        """Assert that such an event was recorded; `fields` are those of `Client.event`."""
        __tracebackhide__ = True
        _check_fields(fields, Event._fields)
        self._assert_one(Wanted(title, EVENT, tags), "text", text, fields)

    def assert_service_check(
        self, name: str, status: object = ANY, *, tags: TagsWanted = None, **fields: object
    ) -> None:
        """Assert that such a service check was recorded; see `Client.service_check`.

        `status` is a number or its name: healthy, warning, critical, unknown.
        """
        __tracebackhide__ = True
        _check_fields(fields, ServiceCheck._fields)
        self._assert_one(Wanted(name, SERVICE_CHECK, tags), "status", status_of(status), fields)

    # Nothing.

    def assert_not_recorded(
        self,
        name: str | None = None,
        *,
        type: str | None = None,  # noqa: A002  the word of the field
        tags: TagsWanted = None,
    ) -> None:
        """Assert that there is no such record, whatever its value; without arguments, none."""
        __tracebackhide__ = True
        found = self.records(name, type=type, tags=tags)
        if found:
            raise AssertionError(unwanted(Wanted(name, type, tags), found, self._dropped()))

    def _assert_sample(self, wanted: Wanted, value: object, count: object) -> None:
        __tracebackhide__ = True

        def is_met(found: Sequence[Record]) -> bool:
            such = sum(bool(value == record.value) for record in found)
            return _is_amount(count, such)

        self._assert(wanted._replace(outcome=_amount("value", value, count)), is_met)

    def _assert_one(
        self, wanted: Wanted, word: str, value: object, fields: dict[str, object]
    ) -> None:
        __tracebackhide__ = True
        shown = status_text(value) if word == "status" else repr(value)
        texts = [f"{word} {shown}", *(f"{key} {one!r}" for key, one in fields.items())]
        self._assert(
            wanted._replace(outcome=", ".join(texts), fields=tuple(fields)),
            lambda found: any(
                value == record.value
                and all(one == record.fields[key] for key, one in fields.items())
                for record in found
            ),
        )

    def _assert(self, wanted: Wanted, is_met: Callable[[Sequence[Record]], bool]) -> None:
        __tracebackhide__ = True
        found = self.records(wanted.name, type=wanted.type, tags=wanted.tags)
        if not is_met(found):
            raise AssertionError(unmet(wanted, found, self.records(), self._dropped()))

    def _dropped(self) -> dict[str, int]:
        dropped: dict[str, int] = self.stats()["dropped"]
        return dropped

    def __repr__(self) -> str:
        # Without a flush: looking at it must not change what is sent together.
        return f"<RecordingClient with {len(_lines_of(self._tape.datagrams))} lines>"


def _lines_of(datagrams: Sequence[bytes]) -> list[str]:
    return [line for data in datagrams for line in data.decode().split("\n")]


def _is_any(wanted: object) -> bool:
    """Say whether this is equal to everything, ours or another one's; it needs something to be."""
    return bool(wanted == object())


def _is_amount(wanted: object, found: int) -> bool:
    """Say whether there are as many as wanted; at least one when no number is."""
    return found > 0 if wanted is None or _is_any(wanted) else bool(wanted == found)


def _amount(noun: str, value: object, count: object) -> str:
    such = f"{noun} {value!r}"
    return such if count is None else f"{such}, {count!r} of them"


def _check_fields(given: dict[str, object], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise TypeError(f"cannot compare {key!r}: it is none of {', '.join(known)}")
