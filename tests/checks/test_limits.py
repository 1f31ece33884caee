from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.base import Observation
from vitald.checks.limits import Finding, check_order, conclude, fact, judge, number, percent, size
from vitald.status import Status, worst


@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        (79.9, Status.HEALTHY, "disk 79.9 % used"),
        (80, Status.WARNING, "disk 80 % used (warning at 80 %)"),
        (89.99, Status.WARNING, "disk 90 % used (warning at 80 %)"),
        (90, Status.CRITICAL, "disk 90 % used (critical at 90 %)"),
        (100, Status.CRITICAL, "disk 100 % used (critical at 90 %)"),
    ],
)
def test_reaching_a_limit_is_enough(value, status, text):
    assert judge("disk {} used", value, 80, 90, write=percent) == Finding(status, text)


def test_what_must_not_run_out_is_compared_the_other_way_round():
    found = [
        judge("{} free", value, 200, 100, write=size, below=True).status
        for value in (201, 200, 100, 0)
    ]
    assert found == [Status.HEALTHY, Status.WARNING, Status.CRITICAL, Status.CRITICAL]


def test_a_limit_that_is_not_set_is_never_reached():
    assert judge("{}", 1e300, None, None, write=number).status is Status.HEALTHY
    assert judge("{}", 95, None, 90, write=number).status is Status.CRITICAL
    assert judge("{}", 95, 90, None, write=number).status is Status.WARNING


def test_a_reading_that_is_missing_is_unknown_only_where_it_is_limited():
    limited = judge("{} of swap used", None, 80, None, write=percent)
    assert limited == Finding(Status.UNKNOWN, "an unknown amount of swap used")
    assert judge("{}", None, None, None, write=percent) == Finding(Status.HEALTHY, "")


def test_what_is_wrong_stands_before_what_is_fine():
    findings = [
        fact("fine"),
        Finding(Status.WARNING, "high"),
        Finding(Status.CRITICAL, "full"),
        Finding(Status.UNKNOWN, "who knows"),
        fact(""),
    ]
    seen = Observation("a", 1.0)
    result = conclude(findings, iter([seen]))
    assert result.status is Status.CRITICAL
    assert result.message == "full, who knows, high, fine"
    assert result.observations == (seen,)


@given(st.lists(st.sampled_from(list(Status))))
def test_the_conclusion_is_the_worst_finding(statuses):
    result = conclude([Finding(status, "x") for status in statuses], ())
    assert result.status is worst(statuses)


def test_limits_must_be_in_order():
    check_order(80, 90)
    check_order(80, 80)
    check_order(None, 10)
    check_order(90, None)
    check_order(10, 5, below=True)
    with pytest.raises(ValueError, match="must not be below its warning limit"):
        check_order(90, 80)
    with pytest.raises(ValueError, match="must not be above its warning limit"):
        check_order(5, 10, below=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1 MiB"),
        (5 * 1024**3, "5 GiB"),
        (1024**6, "1024 PiB"),
    ],
)
def test_sizes_are_written_with_few_digits(value, text):
    assert size(value) == text


def test_numbers_are_written_without_noise():
    assert [percent(80.0), percent(99.46), percent(0)] == ["80 %", "99.5 %", "0 %"]
    assert [number(3.0), number(0.254), number(1200)] == ["3", "0.25", "1200"]
