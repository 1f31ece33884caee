"""Reading documents without trusting their shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.cli import document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, JSON)
def test_no_value_raises(value, other):
    document.mapping(value)
    document.items(value)
    document.text(value)
    document.words(value)
    document.tags(value)
    document.number(value)
    document.moment(value)
    document.age(value, other)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.500Z", 60.5),
        ("1970-01-01T01:01:00+01:00", 60.0),
        (60, 60.0),
        ("1970-01-01T00:01:00", None),  # in which zone?
        ("soon", None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (10**400, None),
    ],
)
def test_a_moment_is_unix_seconds_or_rfc_3339(value, seconds):
    assert document.moment(value) == seconds


def test_an_age_is_never_negative_and_missing_when_a_side_is():
    assert document.age(0, 90) == "1m30s"
    assert document.age(5, 3) == "0s"
    assert document.age(None, 3) == "-"
    assert document.age(3, "x") == "-"


def test_tags_are_written_as_the_option_takes_them():
    assert document.tags({"queue": "mail", "slow": ""}) == "queue=mail,slow"
