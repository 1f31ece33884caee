"""What a failed assertion says: what was expected, what came nearest, and all that was recorded."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from vitald.testing.matchers import common_tags, tags_match, tags_text
from vitald.testing.records import (
    EVENT,
    SERVICE_CHECK,
    Recorded,
    gather,
    number_text,
    status_text,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vitald.testing.matchers import TagsWanted
    from vitald.testing.records import Record

_MOST_SHOWN = 50
# Names less alike than this are not a misspelling of each other.
_ALIKE = 0.6


class Wanted(NamedTuple):
    """What was expected; `outcome` says of what values, for people.

    `fields` are those of an event or a service check that were compared.
    """

    name: str | None
    type: str | None
    tags: TagsWanted
    outcome: str = ""
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [word for word in (self.type, self.name) if word]
        text = " ".join(words or ["anything"])
        if tags := tags_text(self.tags):
            text += tags if tags.startswith("{") else f" with {tags}"
        return f"{text}: {self.outcome}" if self.outcome else text


def unmet(
    wanted: Wanted,
    found: Sequence[Record],
    records: Sequence[Record],
    dropped: Mapping[str, int],
) -> str:
    """Return the message of an expectation that failed; `found` are its records, of all."""
    lines = [f"expected {wanted}"]
    if found:
        lines += [f"   found {text}" for text in _compared(wanted, found)[:_MOST_SHOWN]]
        if wanted.type == "counter" and len(gather(found)) > 1:
            lines.append(f"   which is a total of {number_text(total(found))}")
    else:
        nearest = _nearest(wanted, gather(records))
        lines.append(f" nearest {nearest}" if nearest else " nothing like it was recorded")
    return "\n".join(lines + _everything(records, dropped))


def unwanted(wanted: Wanted, found: Sequence[Record], dropped: Mapping[str, int]) -> str:
    """Return the message of a record that should not be there."""
    lines = [f"expected no {wanted}"]
    lines += [f"   found {series}" for series in gather(found)[:_MOST_SHOWN]]
    return "\n".join(lines + _dropped(dropped))


def _compared(wanted: Wanted, found: Sequence[Record]) -> list[str]:
    """Return what was found with all that it was compared by."""
    if wanted.type not in {EVENT, SERVICE_CHECK}:
        return list(map(str, gather(found)))
    return [f"{Recorded(one).title}: {_fields(one, wanted.fields)}" for one in found]


def _fields(record: Record, names: Sequence[str]) -> str:
    if record.type == EVENT:
        texts = [f"text {record.value!r}"]
    else:
        texts = [f"status {status_text(record.value)}"]
    texts += [f"{name} {record.fields[name]!r}" for name in names]
    return ", ".join(texts)


def _everything(records: Sequence[Record], dropped: Mapping[str, int]) -> list[str]:
    series = gather(records)
    if not series:
        return ["nothing was recorded at all", *_dropped(dropped)]
    lines = [f"recorded ({len(series)} series):"]
    lines += [f"  {one}" for one in series[:_MOST_SHOWN]]
    if len(series) > _MOST_SHOWN:
        lines.append(f"  … {len(series) - _MOST_SHOWN} more")
    return lines + _dropped(dropped)


def _dropped(dropped: Mapping[str, int]) -> list[str]:
    """Return a line about calls that could not be recorded, which is often the cause."""
    if not dropped:
        return []
    return ["dropped: " + ", ".join(f"{count} {reason}" for reason, count in dropped.items())]


def _nearest(wanted: Wanted, recorded: Sequence[Recorded]) -> str:
    """Return the series that is most like the one wanted, and how it differs; "" without one."""
    alike = [series for series in recorded if _likeness(wanted, series) >= _ALIKE]
    if not alike:
        return ""
    best = max(alike, key=lambda series: _score(wanted, series))
    differences = [
        words
        for words, is_same in (
            ("another type", wanted.type in {None, best.type}),
            ("another name", _likeness(wanted, best) == 1.0),
            ("other tags", tags_match(wanted.tags, best.tags)),
        )
        if not is_same
    ]
    return f"{best} ({', '.join(differences)})"


def _likeness(wanted: Wanted, series: Recorded) -> float:
    if wanted.name is None or series.records[0].matches(wanted.name, None, None):
        return 1.0
    return min(0.99, SequenceMatcher(None, wanted.name, series.name).ratio())


def _score(wanted: Wanted, series: Recorded) -> tuple[float, bool, int]:
    is_type = wanted.type in {None, series.type}
    return _likeness(wanted, series), is_type, common_tags(wanted.tags, series.tags)
