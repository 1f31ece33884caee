"""Values to StatsD lines (DogStatsD 1.1 grammar): the twin of `vitald.wire.parse`.

    metric_line("jobs", "1", "c", 0.5, [("queue", "mail")])     jobs:1|c|@0.5|#queue:mail
    gauge_lines("depth", -5)                                    depth:0|g, then depth:-5|g
    event_line("deploy", "v2")                                  _e{6,2}:deploy|v2
    service_check_line("db", 0, message="up")                   _sc|db|0|m:up

Whatever comes in, one line goes out: characters that mean something to the grammar are replaced,
never sent, so no name, tag or text can smuggle a second line. What cannot be a line at all (no
name, no number, a rate outside 0 to 1) is a ValueError. No line ends in a newline.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# The parser clamps smaller rates to this one, so a client must not send by a smaller one.
MIN_RATE = 1e-6

# The counter in which a client says what it dropped, tagged with the reason.
CLIENT_DROPPED = "vitald.client.dropped"

WIRE_TYPES = frozenset({"c", "g", "ms", "h", "d", "s"})

_CONTROL = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0)))) + "\u2028\u2029"


def _replacing(characters: str) -> dict[int, str]:
    return dict.fromkeys(map(ord, _CONTROL + characters), "_")


# ";" "," "#" begin Graphite, Influx and Librato tags inside a name. Blanks split Graphite lines.
_NAME = _replacing(" :|@,;#")
_TAG_KEY = _replacing(":|,#")
# A value may hold ":", "@" and "#" (URLs, addresses): only "|" and "," end it.
_TAG_VALUE = _replacing("|,")
_VALUE = _replacing("|")
_FIELD = _replacing("|")
# Newlines inside texts travel as the two characters "\n"; every receiver turns them back.
_TEXT = _replacing("") | {ord("\n"): "\\n", ord("\t"): "\t"}
_MESSAGE = _TEXT | {ord("|"): "_"}


def _clean(text: object, table: dict[int, str]) -> str:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    cleaned = str(text).translate(table)
    # A lone surrogate (a file name that is not UTF-8) cannot be encoded.
    return cleaned if cleaned.isascii() else cleaned.encode("utf-8", "replace").decode("utf-8")


def clean_name(name: object) -> str:
    """Return the name with every character that the grammar or Graphite reads replaced by `_`."""
    cleaned = _clean(name, _NAME)
    # "_e{" begins an event; a service check's "_sc|" is gone with its bar.
    return f"_e_{cleaned[3:]}" if cleaned.startswith("_e{") else cleaned


def clean_tag(key: object, value: object = "") -> tuple[str, str]:
    """Return the tag with every character that the grammar reads replaced by `_`.

    The key may be empty afterwards; such a tag is left out of a line.
    """
    return _clean(key, _TAG_KEY), _clean(value, _TAG_VALUE)


def clean_member(member: object) -> str:
    """Return a set's member with `|` and control characters replaced; it may hold `:`."""
    return _clean(member, _VALUE)


def number(value: object) -> str:
    """Return the shortest text that parses back to exactly this value.

    Takes int, float and what converts itself to float. ValueError for anything else, text
    included, and for what is not finite or outside the range of a double.
    """
    if isinstance(value, int):
        # A subclass (bool, IntEnum) may print itself as a word.
        value = int(value)
        if -(1 << 53) <= value <= 1 << 53:
            return int.__repr__(value)
    if isinstance(value, str | bytes | bytearray):
        # `float` would read it, by a grammar wider than the wire's.
        raise ValueError(f"cannot encode a value: {value!r} is text")  # noqa: TRY004  one error type
    try:
        real = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"cannot encode a value: {error}") from None
    if real - real != 0.0:  # inf and nan
        raise ValueError(f"cannot encode a value: {real!r} is not finite")
    if isinstance(value, int):
        return int.__repr__(value)
    # Also turns -0.0 into "0": its sign would make a gauge a decrement.
    return int.__repr__(int(real)) if real.is_integer() and abs(real) < 1e16 else repr(real)


def signed(value: float) -> str:
    """Return the number with its sign always written: a gauge's delta."""
    text = number(value)
    return text if text.startswith("-") else f"+{text}"


def tag_field(tags: Iterable[tuple[str, str]]) -> str:
    """Return `|#key:value,bare`, or nothing when no tag is left."""
    cleaned = (clean_tag(key, value) for key, value in tags)
    parts = [f"{key}:{value}" if value else key for key, value in cleaned if key]
    return "|#" + ",".join(parts) if parts else ""


def frame(
    name: str, wire_type: str, rate: float = 1.0, tags: Iterable[tuple[str, str]] = ()
) -> tuple[str, str]:
    """Return what stands before and after a value: `name:` and `|type|@rate|#tags`.

    A sender that repeats a series formats these once. ValueError as in `metric_line`.
    """
    cleaned = clean_name(name)
    if not cleaned:
        raise ValueError("cannot encode a metric: the name is empty")
    if wire_type not in WIRE_TYPES:
        raise ValueError(f"cannot encode {cleaned}: unknown type {wire_type!r}")
    if not 0.0 < rate <= 1.0:
        raise ValueError(f"cannot encode {cleaned}: the rate {rate!r} is not within 0 to 1")
    sampled = f"|@{float(rate)!r}" if rate < 1.0 else ""
    return f"{cleaned}:", f"|{wire_type}{sampled}{tag_field(tags)}"


def metric_line(
    name: str,
    value: str,
    wire_type: str,
    rate: float = 1.0,
    tags: Iterable[tuple[str, str]] = (),
    *,
    timestamp: int | None = None,
) -> str:
    """Return one metric line.

    `value` is the text of a number (see `number`), several of them joined by ":" (one sample
    each), or a set's member. `wire_type` is c, g, ms, h, d or s. `timestamp` is in Unix seconds,
    for c and g only. ValueError for an empty name or value, an unknown type, a rate outside 0 to 1.
    """
    before, after = frame(name, wire_type, rate, tags)
    text = clean_member(value)
    if not text:
        raise ValueError(f"cannot encode {before[:-1]}: the value is empty")
    if timestamp is None:
        return before + text + after
    if wire_type not in {"c", "g"}:
        raise ValueError(f"cannot encode {before[:-1]}: type {wire_type} takes no timestamp")
    return f"{before}{text}{after}|T{int(timestamp)}"


def gauge_lines(name: str, value: float, tags: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the lines that set a gauge to `value`; they belong into one datagram, in this order.

    A sign means a delta, so a negative value is sent as `0` and then as a decrement.
    """
    before, after = frame(name, "g", tags=tags)
    return [before + text + after for text in gauge_values(value)]


def gauge_values(value: float) -> list[str]:
    """Return the values that set a gauge: the number, or `0` and the number when it is negative."""
    text = number(value)
    return ["0", text] if text.startswith("-") else [text]


def event_line(
    title: str,
    text: str,
    *,
    timestamp: int | None = None,
    host: str = "",
    aggregation_key: str = "",
    priority: str = "normal",
    source_type: str = "",
    alert_type: str = "info",
    tags: Iterable[tuple[str, str]] = (),
) -> str:
    """Return a DogStatsD event. The two lengths are in bytes, of the escaped title and text.

    ValueError for an empty title, for a priority other than normal and low, and for an alert type
    other than info, success, warning and error.
    """
    if not title:
        raise ValueError("cannot encode an event: the title is empty")
    if priority not in {"normal", "low"}:
        raise ValueError(f"cannot encode an event: unknown priority {priority!r}")
    if alert_type not in {"info", "success", "warning", "error"}:
        raise ValueError(f"cannot encode an event: unknown alert type {alert_type!r}")
    title, text = _clean(title, _TEXT), _clean(text, _TEXT)
    return "".join(
        (
            f"_e{{{len(title.encode())},{len(text.encode())}}}:{title}|{text}",
            _field("d:", timestamp),
            _field("h:", host),
            _field("k:", aggregation_key),
            _field("p:", priority if priority != "normal" else ""),
            _field("s:", source_type),
            _field("t:", alert_type if alert_type != "info" else ""),
            tag_field(tags),
        )
    )


def service_check_line(
    name: str,
    status: int,
    *,
    timestamp: int | None = None,
    host: str = "",
    message: str = "",
    tags: Iterable[tuple[str, str]] = (),
) -> str:
    """Return a DogStatsD service check; `status` is 0 to 3 (see `vitald.status.Status`).

    ValueError for an empty name or another status.
    """
    name = _clean(name, _FIELD)
    if not name:
        raise ValueError("cannot encode a service check: the name is empty")
    if status not in {0, 1, 2, 3}:
        raise ValueError(f"cannot encode {name}: the status {status!r} is not 0, 1, 2 or 3")
    # The message stands last; many receivers end it at the next "|" all the same.
    text = _clean(message, _MESSAGE)
    return "".join(
        (
            f"_sc|{name}|{int(status)}",
            _field("d:", timestamp),
            _field("h:", host),
            tag_field(tags),
            f"|m:{text}" if text else "",
        )
    )


def _field(key: str, value: object) -> str:
    if value is None or value == "":
        return ""
    return f"|{key}{_clean(value, _FIELD)}"
