from __future__ import annotations

import re
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from vitald.wire.number import parse_number, parse_numbers, parse_unsigned

# The grammar of docs/wire-protocol.md, written independently of the implementation.
GRAMMAR = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

near_numbers = st.text(alphabet="0123456789+-.eE_x n\n", max_size=12).map(str.encode)


@given(near_numbers | st.binary(max_size=12))
def test_a_number_is_taken_exactly_when_the_grammar_has_it(text):
    value = parse_number(text)
    if GRAMMAR.fullmatch(text) and isfinite(float(text)):
        assert value == float(text)
    else:
        assert value is None


@given(st.lists(near_numbers, min_size=1, max_size=8))
def test_many_numbers_are_taken_exactly_when_each_one_is(texts):
    one_by_one = [parse_number(text) for text in texts]
    assert parse_numbers(texts) == (None if None in one_by_one else one_by_one)


@given(st.binary(max_size=24))
def test_an_unsigned_integer_is_ascii_digits_and_nothing_else(text):
    expected = int(text) if re.fullmatch(rb"[0-9]{1,18}", text) else None
    assert parse_unsigned(text) == expected
