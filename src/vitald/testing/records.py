"""Lines, read back: one record for every value, event and service check on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import fsum
from typing import TYPE_CHECKING

from vitald.metric import Event, MetricType
from vitald.status import Status
from vitald.testing.matchers import tags_match, tags_text
from vitald.wire.parse import Rejected, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vitald.metric import ServiceCheck
    from vitald.testing.matchers import TagsWanted
    from vitald.wire.parse import Sample

METRIC_TYPES = tuple(kind.value for kind in MetricType)
EVENT, SERVICE_CHECK = "event", "service_check"

# What a record has a place of its own for.
_IN_RECORD = frozenset({"title", "text", "name", "status", "tags"})

_SAMPLED = frozenset({"timer", "histogram", "distribution"})


@dataclass(frozen=True)
class Record:
    """One value as it would have been sent.

    `type` is counter, gauge, timer, histogram, distribution, set, event or service_check. `name`
    is an event's title, and `value` its text, a service check's status, a set's member, else a
    number. `rate` is the share of calls that were recorded; `is_delta` says that a gauge is moved
    and not set. `fields` has what else was given to an event or a service check. `line` is the line
    that the value is in, maybe among others.
    """

    type: str
    name: str
    tags: Mapping[str, str]
    value: float | str
    rate: float = 1.0
    timestamp: int | None = None
    is_delta: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    line: str = ""

    def matches(self, name: str | None, type: str | None, tags: TagsWanted) -> bool:  # noqa: A002
        """Say whether this is one of those asked for; None is no restriction."""
        return (
            (name is None or self.name == name or fnmatchcase(self.name, name))
            and (type is None or self.type == type)
            and tags_match(tags, self.tags)
        )


def check_type(wanted: str | None, known: Sequence[str]) -> None:
    """Refuse a type that does not exist: nothing would ever be of it."""
    if wanted is not None and wanted not in known:
        raise ValueError(f"cannot look for type {wanted!r}: it is none of {', '.join(known)}")


def read_lines(lines: Iterable[str]) -> Iterator[Record]:
    """Yield the records of lines, in order; a line that vitald's sidecar refuses is ValueError."""
    for line in lines:
        parsed = parse_line(line.encode())
        if isinstance(parsed, Rejected):
            raise ValueError(f"cannot read {line!r} back: {parsed.reason}")  # noqa: TRY004
        if parsed.extended is not None:
            yield _read_extended(parsed.extended, line)
        for sample in parsed.samples:
            yield from _read_sample(sample, line)


def _read_sample(sample: Sample, line: str) -> Iterator[Record]:
    tags = dict(sample.key.tags)
    values: Sequence[float | bytes] = sample.values
    for place, value in enumerate(values):
        yield Record(
            sample.key.type.value,
            sample.key.name,
            tags,
            value.decode() if isinstance(value, bytes) else value,
            sample.rate,
            sample.timestamp,
            sample.key.type is MetricType.GAUGE and sample.signed[place],
            line=line,
        )


def _read_extended(item: Event | ServiceCheck, line: str) -> Record:
    value: float | str
    if isinstance(item, Event):
        kind, name, value = EVENT, item.title, item.text
    else:
        kind, name, value = SERVICE_CHECK, item.name, item.status
    return Record(
        kind,
        name,
        dict(item.tags),
        value,
        timestamp=item.timestamp,
        fields={key: one for key, one in item._asdict().items() if key not in _IN_RECORD},
        line=line,
    )


class Recorded:
    """All records of one type, name and tags: what a server would know of a series."""

    def __init__(self, first: Record) -> None:
        self.type, self.name, self.tags = first.type, first.name, first.tags
        self.records: list[Record] = []

    @property
    def values(self) -> list[float | str]:
        """Return all values in the order of the wire."""
        return [record.value for record in self.records]

    @property
    def members(self) -> list[str]:
        """Return a set's distinct members, in the order of the wire."""
        return list(dict.fromkeys(map(str, self.values)))

    @property
    def title(self) -> str:
        """Return type, name and tags for people."""
        return f"{self.type} {self.name}{tags_text(self.tags) if self.tags else ''}"

    def __str__(self) -> str:
        return f"{self.title}: {self.outcome()}"

    def outcome(self) -> str:
        """Return for people what its values come to."""
        if self.type == "counter":
            return f"total {number_text(total(self.records))}"
        if self.type == "gauge":
            return f"level {number_text(level(self.records))}"
        if self.type == "set":
            return _listed("member", self.members)
        if self.type in _SAMPLED:
            return _listed("value", [number_text(float(value)) for value in self.values])
        if self.type == EVENT:
            return _listed("text", list(map(repr, self.values)))
        return _listed("status", list(map(status_text, self.values)))


def gather(records: Iterable[Record]) -> list[Recorded]:
    """Return the records by series, in the order of their first."""
    found: dict[object, Recorded] = {}
    for record in records:
        key = (record.type, record.name, tuple(sorted(record.tags.items())))
        found.setdefault(key, Recorded(record)).records.append(record)
    return list(found.values())


def total(records: Iterable[Record]) -> float:
    """Return the sum of a counter's values, each weighted by its rate."""
    return fsum(float(record.value) / record.rate for record in records)


def level(records: Iterable[Record]) -> float:
    """Return a gauge's value after all of these; one that was only moved began at 0."""
    now = 0.0
    for record in records:
        now = now + float(record.value) if record.is_delta else float(record.value)
    return now


def number_text(number: float) -> str:
    """Return a number for people, so that two which differ have two texts."""
    text = f"{number:.15g}"
    return text if float(text) == number else repr(number)


def status_of(wanted: object) -> object:
    """Return the number of a status that is named; whatever else is wanted as it is."""
    if not isinstance(wanted, str):
        return wanted
    for status in Status:
        if status.word == wanted.lower():
            return status.value
    words = ", ".join(status.word for status in Status)
    raise ValueError(f"cannot look for status {wanted!r}: it is none of {words}")


def status_text(status: object) -> str:
    """Return a service check's status for people: `2 (critical)`."""
    for known in Status:
        if isinstance(status, int) and status == known:
            return f"{known.value} ({known.word})"
    return repr(status)


def _listed(noun: str, texts: list[str]) -> str:
    most = 8
    shown = ", ".join(texts[:most]) + (f", … {len(texts) - most} more" if len(texts) > most else "")
    return f"{len(texts)} {noun}{'' if len(texts) == 1 else _PLURAL.get(noun, 's')}: {shown}"


_PLURAL = {"status": "es"}
