"""Numbers on the wire.

    number = [+-] ( digits [ "." *digit ] / "." digits ) [ ("e"/"E") [+-] digits ]

No blanks, underscores, hex, inf or nan; a number that overflows a double is no number.
"""

from __future__ import annotations

from math import isfinite

# Restricted to these bytes, `float` accepts exactly the grammar above: every other form that it
# knows needs a letter other than e, an underscore or a blank.
NUMBER_BYTES = b"0123456789+-.eE"


def parse_number(text: bytes) -> float | None:
    """Return the finite value of `text`, None when it is not a number of the grammar."""
    if text.translate(None, NUMBER_BYTES):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def parse_numbers(texts: list[bytes]) -> list[float] | None:
    """Return the values of `texts`, None when any one is not a finite number.

    About ten times cheaper a number than `parse_number`.
    """
    if b"".join(texts).translate(None, NUMBER_BYTES):
        return None
    try:
        values = list(map(float, texts))
    except ValueError:
        return None
    return values if all(map(isfinite, values)) else None


def parse_unsigned(text: bytes) -> int | None:
    """Return the value of 1 to 18 ASCII digits, None otherwise."""
    if not text or len(text) > 18 or text.translate(None, b"0123456789"):
        return None
    return int(text)
