from __future__ import annotations

import uuid
from unittest import mock

import pytest

from vitald.testing import ANY, approx, only
from vitald.testing.matchers import common_tags, tags_match, tags_text


@pytest.mark.parametrize("value", [0, 1.5, "x", None, [], object()])
def test_any_equals_everything_from_both_sides(value):
    assert value == ANY
    assert value == ANY
    assert not value != ANY  # noqa: SIM202  the operator is what is tested


def test_approx_equals_what_is_near_and_nothing_else():
    assert approx(100, rel=0.1) == 109
    assert approx(100, rel=0.1) != 111
    assert 5.4 == approx(5, abs=0.5)  # noqa: SIM300  from the other side
    assert approx(1.0) == 1.0000001
    assert approx(1.0) != 1.0001
    assert approx(1) != "1"
    assert approx(-100, rel=0.1) == -109


def test_approx_says_how_near():
    assert repr(approx(100, rel=0.1)) == "100 ± 10"
    assert repr(approx(1_234_567, abs=2)) == "1234567 ± 2"


FOUND = {"queue": "mail", "env": "test", "bare": ""}


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        ANY,
        {},
        {"queue": "mail"},
        {"queue": ANY, "env": mock.ANY},
        ["queue:mail", "bare"],
        "queue:mail,bare",
        {"bare": ""},
        only(FOUND),
        only(["queue:mail", "env:test", "bare"]),
        only({"queue": ANY, "env": "test", "bare": ""}),
    ],
)
def test_tags_that_are_there_match(wanted):
    assert tags_match(wanted, FOUND)


@pytest.mark.parametrize(
    "wanted",
    [
        {"queue": "sms"},
        {"other": ANY},
        ["queue:mail", "other"],
        only(),
        only({"queue": "mail"}),
        only({"queue": "sms", "env": "test", "bare": ""}),
    ],
)
def test_tags_that_are_not_there_do_not_match(wanted):
    assert not tags_match(wanted, FOUND)


def test_only_without_tags_matches_what_has_none():
    assert tags_match(only(), {})


def test_a_tags_value_matches_by_the_text_that_is_sent():
    key = uuid.uuid4()
    assert tags_match({"id": key, "n": 5, "on": True}, {"id": str(key), "n": "5", "on": "True"})
    assert tags_match({"path": "a|b,c"}, {"path": "a_b_c"})
    assert tags_match({"a:b": 1}, {"a_b": "1"})


def test_tags_are_shown_as_a_person_would_write_them():
    assert tags_text({"queue": "mail", "bare": "", "id": ANY}) == "{queue=mail, bare, id=ANY}"
    assert tags_text(only({"queue": "mail"})) == "only {queue=mail}"
    assert not tags_text(None)


def test_common_tags_are_counted_also_where_others_are_excluded():
    assert common_tags({"queue": "mail", "env": "live"}, FOUND) == 1
    assert common_tags(only({"queue": "mail", "env": ANY}), FOUND) == 2
    assert common_tags(None, FOUND) == 0
