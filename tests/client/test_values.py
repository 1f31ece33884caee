"""What a number is, whatever object it comes as."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.client.values import (
    add_up,
    as_number,
    member_text,
    milliseconds,
    negative,
    plain_texts,
    scaled,
)


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        (True, 1),
        (Level.HIGH, 3),
        (0.5, 0.5),
        (2**1023, None),
        (2**1023 - 1, 2**1023 - 1),
        (math.inf, None),
        ("1", None),
        (bytearray(b"1"), None),
        (None, None),
        (1j, None),
    ],
)
def test_what_a_number_is(value, number):
    assert as_number(value) == number
    assert type(as_number(value)) in {int, float, type(None)}


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-(2**70), 2**70)))
def test_sums_are_exact_for_ints_and_rounded_once_for_floats(values):
    total = add_up(values)
    if all(type(value) is int for value in values):
        assert total == sum(values)
    else:
        assert total == math.fsum(values)


class Hostile:
    def _raise(self, *_):
        raise RuntimeError("hostile")

    __str__ = __neg__ = __truediv__ = __float__ = _raise

    @property
    def total_seconds(self):
        raise RuntimeError("hostile")


def test_nothing_raises_whatever_the_value_does():
    value = Hostile()
    assert (negative(value), scaled(value, 0.5), milliseconds(value)) == (None, None, None)
    assert (as_number(value), add_up([value]), member_text(value)) == (None, None, "")
    assert (negative("a"), scaled("a", 0.5), scaled(10**400, 0.5)) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 4), (0.5, 2), (Decimal("0.5"), 2), (Fraction(1, 2), 2), (True, 4)]
)
def test_a_sampled_value_stands_for_those_that_were_not_recorded(value, expected):
    assert scaled(value, 0.25) == expected


def test_a_duration_is_in_milliseconds():
    assert milliseconds(dt.timedelta(seconds=1.5)) == 1500.0
    assert milliseconds(7) == 7


def test_members_are_text_at_once():
    assert [member_text(one) for one in ("a", b"\xff", 7, None)] == ["a", "\ufffd", "7", "None"]


# Those of each pair add up to a small number; of the largest, Python makes no text.
HUGE = ([10**400, -(10**400)], [10**5000, -(10**5000)], [2**1023, -(2**1023)], [10**400, 0.5])


def test_only_plain_finite_numbers_have_plain_texts():
    assert plain_texts([1, 2.5]) == ["1", "2.5"]
    for values in ([True], [math.nan], [math.inf], [1e308, 1e308], [10**400], ["1"], *HUGE):
        assert plain_texts(values) is None
