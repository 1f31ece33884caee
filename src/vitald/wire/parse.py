"""One line of StatsD, parsed by explicit grammar.

    line    = name [ name-tags ] ":" values "|" type *( "|" field )
    values  = value *( ":" value )                  a set's single value keeps its colons
    type    = c / m / g / ms / h / d / s
    field   = "@" rate / "#" tags / "T" unix / "c:" id / "e:" text / "card:" word / other

The old form `name:1|c:2|g` puts several (values, type, rate) into one line; its tags hold for all
of them. A line is taken whole or rejected whole, under exactly one of `REASONS`. What is odd but
harmless is taken and noted. No function here raises, does I/O or looks at a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vitald.metric import Event, MetricType, SeriesKey, ServiceCheck
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect
from vitald.wire.extended import parse_event, parse_service_check
from vitald.wire.number import parse_number, parse_numbers, parse_unsigned
from vitald.wire.tags import CONTROL, canonical, split_name, split_tags

if TYPE_CHECKING:
    from vitald.metric import Tags
    from vitald.wire.extended import Extended

REASONS = (
    "bad_encoding",
    "malformed",
    "empty_name",
    "empty_value",
    "empty_type",
    "unknown_type",
    "bad_value",
    "bad_sample_rate",
    "too_long",
    "too_many_tags",
    "truncated",
)

WIRE_TYPES = {
    b"c": MetricType.COUNTER,
    b"m": MetricType.COUNTER,
    b"g": MetricType.GAUGE,
    b"ms": MetricType.TIMER,
    b"h": MetricType.HISTOGRAM,
    b"d": MetricType.DISTRIBUTION,
    b"s": MetricType.SET,
}

# The weight of one line is bounded, so its cost and its effect do not depend on a number in it.
MIN_RATE = 1e-6

_TIMESTAMPED = frozenset({MetricType.COUNTER, MetricType.GAUGE})
_ORIGIN_FIELDS = (b"c:", b"e:", b"card:")


class Sample(NamedTuple):
    """The values of one series in one line.

    `values` are floats, for a set the members' bytes. `rate` is in (0, 1]. `signed` says for each
    gauge value whether it is a delta. `timestamp` is in Unix seconds.
    """

    key: SeriesKey
    values: list[float] | list[bytes]
    rate: float = 1.0
    signed: tuple[bool, ...] = ()
    timestamp: int | None = None


class Line(NamedTuple):
    """A line that was understood: its samples, or the one event or check it is."""

    samples: tuple[Sample, ...] = ()
    extended: Event | ServiceCheck | None = None
    notes: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """A line that was not; `reason` is one of `REASONS`."""

    reason: str


class _Refusal(Exception):  # noqa: N818  an early return out of nested parsing, not an error
    """Carries the reason up to `parse_line`."""


def parse_line(line: bytes, dialect: Dialect = DEFAULT_DIALECT) -> Line | Rejected:
    """Parse one line without its line feed; one trailing carriage return is dropped."""
    if line.endswith(b"\r"):
        line = line[:-1]
    try:
        return _parse(line, dialect)
    except _Refusal as refusal:
        return Rejected(refusal.args[0])


def _parse(line: bytes, dialect: Dialect) -> Line:
    if not _is_utf8(line):
        raise _Refusal("bad_encoding")
    if line.startswith(b"_e{"):
        return _extended(parse_event(line, dialect))
    if line.startswith(b"_sc|"):
        return _extended(parse_service_check(line, dialect))
    name, colon, rest = line.partition(b":")
    if not colon or b"|" in name or b"|" not in rest:
        raise _Refusal("malformed")
    if not name:
        raise _Refusal("empty_name")
    notes: list[str] = []
    pieces, rest_fields = _split_pieces(rest)
    fields = _read_fields(rest_fields, notes)
    pieces[-1] = pieces[-1]._replace(rate=fields.rate)
    bare, inside, dropped = split_name(name.decode(), dialect.tag_formats)
    notes.extend(["dropped_tag"] * dropped)
    if not bare:
        raise _Refusal("empty_name")
    tags = canonical({**inside, **fields.tags})
    samples = tuple(
        _sample(piece, (bare, tags), fields.timestamp, dialect, notes) for piece in pieces
    )
    _check_limits(bare, tags, dialect)
    return Line(samples, notes=tuple(notes))


def _extended(parsed: Extended | str) -> Line:
    if isinstance(parsed, str):
        raise _Refusal(parsed)
    return Line(extended=parsed.item, notes=parsed.notes)


class _Piece(NamedTuple):
    values: bytes
    type: bytes
    rate: bytes | None = None


class _Fields(NamedTuple):
    """What holds for the whole line, still unchecked."""

    tags: dict[str, str]
    rate: bytes | None
    timestamp: bytes | None


def _split_pieces(rest: bytes) -> tuple[list[_Piece], list[bytes]]:
    """Split the `values|type[|@rate]` pieces from the fields after the last of them.

    A colon behind the type, or behind a rate that follows it at once, starts the next piece.
    """
    parts = rest.split(b"|")
    pieces: list[_Piece] = []
    values, at = parts[0], 1
    while at < len(parts):
        kind, more, following = parts[at].partition(b":")
        at += 1
        rate = None
        if not more and at < len(parts) and parts[at].startswith(b"@") and b":" in parts[at]:
            rate, more, following = parts[at][1:].partition(b":")
            at += 1
        pieces.append(_Piece(values, kind, rate))
        if not more:
            return pieces, parts[at:]
        values = following
    raise _Refusal("malformed")


def _read_fields(fields: list[bytes], notes: list[str]) -> _Fields:
    """Read the fields in any order; of a repeated one the last counts."""
    tags: dict[str, str] = {}
    rate = timestamp = None
    for field in fields:
        if field.startswith(b"#"):
            tags, dropped = split_tags(field[1:].decode())
            notes.extend(["dropped_tag"] * dropped)
        elif field.startswith(b"@"):
            rate = field[1:]
        elif field.startswith(b"T"):
            timestamp = field[1:]
        elif not field.startswith(_ORIGIN_FIELDS):
            notes.append("unknown_field")
    return _Fields(tags, rate, timestamp)


def _sample(
    piece: _Piece,
    series: tuple[str, Tags],
    timestamp: bytes | None,
    dialect: Dialect,
    notes: list[str],
) -> Sample:
    if not piece.type:
        raise _Refusal("empty_value" if not piece.values else "empty_type")
    kind = WIRE_TYPES.get(piece.type)
    if kind is None:
        raise _Refusal("unknown_type")
    key = SeriesKey(kind, *series)
    rate = _rate(piece.rate, notes)
    if kind is MetricType.SET:
        if not piece.values:
            raise _Refusal("empty_value")
        return Sample(key, [piece.values], timestamp=_timestamp(timestamp, kind, notes))
    values, signed = _values(piece.values, dialect if kind is MetricType.GAUGE else None)
    if kind is MetricType.GAUGE:
        rate = 1.0
    return Sample(key, values, rate, signed, _timestamp(timestamp, kind, notes))


def _values(text: bytes, gauge: Dialect | None) -> tuple[list[float], tuple[bool, ...]]:
    items = text.split(b":")
    if b"" in items:
        raise _Refusal("empty_value")
    values = parse_numbers(items)
    if values is None:
        raise _Refusal("bad_value")
    if gauge is None:
        return values, ()
    is_delta = gauge.gauge_sign == "delta"
    return values, tuple(is_delta and item[0] in b"+-" for item in items)


def _rate(text: bytes | None, notes: list[str]) -> float:
    if text is None:
        return 1.0
    rate = parse_number(text)
    if rate is None or not 0.0 < rate <= 1.0:
        raise _Refusal("bad_sample_rate")
    if rate < MIN_RATE:
        notes.append("clamped_rate")
        return MIN_RATE
    return rate


def _timestamp(text: bytes | None, kind: MetricType, notes: list[str]) -> int | None:
    if text is None:
        return None
    seconds = parse_unsigned(text)
    if kind not in _TIMESTAMPED or not seconds:
        notes.append("ignored_timestamp")
        return None
    return seconds


def _check_limits(name: str, tags: Tags, dialect: Dialect) -> None:
    if CONTROL.search(name) or any(CONTROL.search(k) or CONTROL.search(v) for k, v in tags):
        raise _Refusal("bad_encoding")
    limit = dialect.name_length
    if len(name.encode()) > limit:
        raise _Refusal("too_long")
    if any(len(f"{key}:{value}".encode()) > limit for key, value in tags):
        raise _Refusal("too_long")
    if len(tags) > dialect.tags:
        raise _Refusal("too_many_tags")


def _is_utf8(line: bytes) -> bool:
    if line.isascii():
        return True
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
