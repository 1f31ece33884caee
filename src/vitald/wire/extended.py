r"""DogStatsD's events and service checks.

    event = "_e{" title-bytes "," text-bytes "}:" title "|" text *( "|" field )
            field = d:unix / h:host / k:key / p:normal|low / s:source / t:error|warning|info|success
                    / "#" tags / c: / e: / card:
    check = "_sc|" name "|" status *( "|" field )
            status = 0..3   field = d:unix / h:host / "#" tags / m:message / c: / e: / card:

The two lengths of an event count bytes of UTF-8, and `|` inside title and text is legal. `\n` is
an escaped line feed in titles, texts and messages. An optional part that is wrong is noted; the
rest is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vitald.metric import Event, ServiceCheck
from vitald.wire.number import parse_unsigned
from vitald.wire.tags import CONTROL, canonical, split_tags

if TYPE_CHECKING:
    from vitald.wire.dialect import Dialect

_ORIGIN_FIELDS = ("c:", "e:", "card:")
_EVENT_TEXTS = {"h:": "host", "k:": "aggregation_key", "s:": "source_type"}
_CHOICES = {
    "p:": ("priority", ("normal", "low")),
    "t:": ("alert_type", ("info", "success", "warning", "error")),
}


class Extended(NamedTuple):
    """An event or a service check, and what was odd about it."""

    item: Event | ServiceCheck
    notes: tuple[str, ...] = ()


def parse_event(line: bytes, dialect: Dialect) -> Extended | str:
    """Return the event of a line that starts with `_e{`, or the reason why it is none."""
    head, closed, rest = line[3:].partition(b"}:")
    first, comma, second = head.partition(b",")
    title_length, text_length = parse_unsigned(first), parse_unsigned(second)
    if not closed or not comma or not title_length or text_length is None:
        return "malformed"
    title, text = rest[:title_length], rest[title_length + 1 : title_length + 1 + text_length]
    tail = rest[title_length + 1 + text_length :]
    if len(text) != text_length or rest[title_length : title_length + 1] != b"|":
        return "malformed"
    if tail and not tail.startswith(b"|"):
        return "malformed"
    try:
        event = Event(_unescape(title.decode()), _unescape(text.decode()))
        fields = tail.decode().split("|")[1:]
    except UnicodeDecodeError:
        return "bad_encoding"  # a length that cuts a character in two
    return _with_fields(event, fields, dialect)


def parse_service_check(line: bytes, dialect: Dialect) -> Extended | str:
    """Return the check of a line that starts with `_sc|`, or the reason why it is none."""
    parts = line.decode().split("|")
    if len(parts) < 3:
        return "malformed"
    name, status = parts[1], parts[2]
    if not name:
        return "empty_name"
    if len(name.encode()) > dialect.name_length:
        return "too_long"
    if CONTROL.search(name):
        return "bad_encoding"
    if status not in {"0", "1", "2", "3"}:
        return "bad_value"
    fields = parts[3:]
    # The message is the last field and may hold the separator itself; clients put only their
    # origin behind it.
    while fields and fields[-1].startswith(_ORIGIN_FIELDS):
        fields.pop()
    at = next((i for i, text in enumerate(fields) if text.startswith("m:")), None)
    check = ServiceCheck(name, int(status))
    if at is not None:
        check = check._replace(message=_unescape("|".join(fields[at:])[2:]))
        fields = fields[:at]
    return _with_fields(check, fields, dialect)


def _with_fields(item: Event | ServiceCheck, fields: list[str], dialect: Dialect) -> Extended | str:
    notes: list[str] = []
    for field in fields:
        if field.startswith("#"):
            found = _tags(field[1:], dialect, notes)
            if isinstance(found, str):
                return found
            item = item._replace(tags=canonical(found))
        elif not field.startswith(_ORIGIN_FIELDS):
            item = _with_field(item, field, notes)
    return Extended(item, tuple(notes))


def _tags(text: str, dialect: Dialect, notes: list[str]) -> dict[str, str] | str:
    tags, dropped = split_tags(text)
    notes.extend(["dropped_tag"] * dropped)
    if len(tags) > dialect.tags:
        return "too_many_tags"
    if any(len(f"{key}:{value}".encode()) > dialect.name_length for key, value in tags.items()):
        return "too_long"
    return "bad_encoding" if CONTROL.search(text) else tags


def _with_field(item: Event | ServiceCheck, field: str, notes: list[str]) -> Event | ServiceCheck:
    key, value = field[:2], field[2:]
    if key == "d:":
        seconds = parse_unsigned(value.encode())
        if seconds is not None:
            return item._replace(timestamp=seconds)
    elif key == "h:":
        return item._replace(host=value)
    elif isinstance(item, Event):
        if key in _EVENT_TEXTS:
            return item._replace(**{_EVENT_TEXTS[key]: value})  # type: ignore[arg-type]
        name, choices = _CHOICES.get(key, ("", ()))
        if value in choices:
            return item._replace(**{name: value})  # type: ignore[arg-type]
    notes.append("bad_field" if key in {"d:", *_CHOICES} else "unknown_field")
    return item


def _unescape(text: str) -> str:
    return text.replace("\\n", "\n")
