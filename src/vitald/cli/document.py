"""Reading documents without trusting their shape.

A newer sidecar adds keys, an older one lacks some, and a number may be null. Nothing here raises:
what is missing is shown as missing, what makes no sense as `?`.
"""

from __future__ import annotations

from typing import Any

from vitald.cli.terminal.units import MISSING, UNREADABLE, seconds

Document = dict[str, Any]


def mapping(value: object) -> Document:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Document]:
    """Return the objects of a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a string as it is, null as nothing, and anything else as a mark of trouble."""
    if value is None:
        return ""
    return value if isinstance(value, str) else UNREADABLE


def words(value: object) -> str:
    """Join a list of strings with commas."""
    return ", ".join(map(text, value)) if isinstance(value, list) else ""


def tags(value: object) -> str:
    """Write tags as `-l` takes them: `queue=mail,slow`, a bare tag without its `=`."""
    return ",".join(
        f"{key}={text(word)}" if word != "" else key for key, word in mapping(value).items()
    )


def number(value: object) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if result - result == 0 else None


def moment(value: object) -> float | None:
    """Return Unix seconds from a number or an RFC 3339 time, None where it is neither."""
    if not isinstance(value, str):
        return number(value)
    from datetime import datetime

    try:
        # Python 3.10 does not know "Z".
        parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return parsed.timestamp() if parsed.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def age(then: object, now: object) -> str:
    """Write how long before the moment `now` the moment `then` was."""
    start, end = moment(then), moment(now)
    if start is None or end is None:
        return MISSING
    # The two may stem from readings a moment apart; nothing is younger than now.
    return seconds(max(0.0, end - start), whole=True)
