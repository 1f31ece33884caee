"""Values as callers give them, to plain numbers and texts.

A value may be any object, and its methods may do anything: nothing here raises.
"""

from __future__ import annotations

from math import fsum, isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Every int of so many bits is within the range of a double.
_DOUBLE_BITS = 1023
_TOO_LARGE = 1 << _DOUBLE_BITS


class Delta(tuple[float]):
    """A gauge's step, told from a value by its type."""

    __slots__ = ()


def as_number(value: Any) -> float | None:
    """Return a plain int or float equal to `value`, None when it is no finite number.

    Text is none: `float` would read it.
    """
    try:
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _DOUBLE_BITS else None
        if isinstance(value, str | bytes | bytearray):
            return None
        real = float(value)
    except Exception:
        return None
    return real if isfinite(real) else None


def numbers(values: list[Any]) -> list[float]:
    """Return what is a finite number."""
    return [real for real in map(as_number, values) if real is not None]


def add_up(values: list[Any]) -> float | None:
    """Return the sum, None when the values have none; ints stay exact, floats are rounded once."""
    try:
        total = sum(values)
        if type(total) is int:
            return total if total.bit_length() <= _DOUBLE_BITS else None
        total = fsum(values)
    except Exception:
        return None
    return total if isfinite(total) else None


def negative(value: Any) -> Any:
    """Return `-value`; None, which is counted as no number, when there is none."""
    try:
        return -value
    except Exception:
        return None


def scaled(value: Any, rate: float) -> Any:
    """Return what one recorded call stands for when `rate` of all calls are recorded.

    None, which is counted as no number, when there is none.
    """
    try:
        return value / rate
    except Exception:
        # A Decimal is a number that no float divides.
        real = as_number(value)
        return None if real is None else real / rate


def milliseconds(value: Any) -> Any:
    """Return a timedelta as a number; any other value as it is, None for one that raises."""
    try:
        return value.total_seconds() * 1000.0 if hasattr(value, "total_seconds") else value
    except Exception:
        return None


def member_text(member: object) -> str:
    """Return a set's member as text, at once: the object may change until it is sent.

    What has no text is "".
    """
    try:
        return member.decode("utf-8", "replace") if isinstance(member, bytes) else str(member)
    except Exception:
        return ""


def plain_texts(values: Any) -> list[str] | None:
    """Return the texts of nothing but ints and finite floats, None for any other values."""
    if not {int, float}.issuperset(map(type, values)):
        return None
    try:
        # Of their sizes: huge numbers of opposite signs add up to a small one. NaN is never less.
        is_plain = sum(map(abs, values)) < _TOO_LARGE
    except OverflowError:  # an int beyond every double, and a float
        return None
    return list(map(repr, values)) if is_plain else None
