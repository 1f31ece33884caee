"""Numbers as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.cli.terminal.units import Unit, human, unit_of, unit_suffix


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (7, "7"),
        (7.0, "7"),
        (-5, "-5"),
        (1234567, "1,234,567"),
        (999999999999999, "999,999,999,999,999"),
        (1e15, "1.000e+15"),
        (3.14159, "3.14"),
        (33.333, "33.3"),
        (123.456, "123"),
        (1234.56, "1,234.6"),
        (0.0012345, "0.00123"),
        (2.5e-9, "2.5e-09"),
    ],
)
def test_counts(value, shown):
    assert human(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0s"),
        (5e-9, "5.00ns"),
        (12e-6, "12.0µs"),
        (0.34, "340ms"),
        (1.25, "1.25s"),
        (59.9, "59.9s"),
        (60, "1m00s"),
        (250, "4m10s"),
        (3 * 3600 + 12 * 60, "3h12m"),
        (5 * 86400 + 4 * 3600, "5d4h"),
        (-90, "-1m30s"),
        (1e15, "1.000e+15s"),
    ],
)
def test_seconds(value, shown):
    assert human(value, Unit.SECONDS) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0B"),
        (512, "512B"),
        (1024, "1.00KiB"),
        (1536, "1.50KiB"),
        (12.3 * 2**30, "12.3GiB"),
        (2**60, "1EiB"),
        (-2048, "-2.00KiB"),
    ],
)
def test_bytes(value, shown):
    assert human(value, Unit.BYTES) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (85.25, Unit.PERCENT, "85.2%"),
        (250, Unit.MILLISECONDS, "250ms"),
        (1500, Unit.MILLISECONDS, "1.50s"),
        (2048, Unit.BYTES_PER_SECOND, "2.00KiB/s"),
        (16.7, Unit.PER_SECOND, "16.7/s"),
    ],
)
def test_other_units(value, unit, shown):
    assert human(value, unit) == shown


def test_null_is_missing():
    assert human(None) == "-"


@pytest.mark.parametrize("value", ["12", [], {}, True, float("nan"), float("inf"), 10**400])
def test_what_is_no_finite_number_is_a_question_mark(value):
    assert human(value, Unit.BYTES) == "?"


@given(st.floats() | st.integers() | st.none(), st.sampled_from(Unit))
def test_every_number_is_one_word(value, unit):
    assert re.fullmatch(r"\S+", human(value, unit))


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("task_duration_seconds", "distribution", Unit.SECONDS),
        ("render", "timer", Unit.MILLISECONDS),
        ("render_seconds", "timer", Unit.MILLISECONDS),
        ("memory_usage_bytes", "gauge", Unit.BYTES),
        ("disk.read_bytes_total", "counter", Unit.BYTES),
        ("disk_read_bytes_per_second", "gauge", Unit.BYTES_PER_SECOND),
        ("cpu.percent", "gauge", Unit.PERCENT),
        ("latency_ms", "gauge", Unit.MILLISECONDS),
        ("items", "gauge", Unit.COUNT),
        ("megabytes", "gauge", Unit.COUNT),
    ],
)
def test_the_unit_of_a_metric_is_in_its_type_or_its_name(name, kind, unit):
    assert unit_of(name, kind) is unit


def test_the_longest_suffix_is_the_unit():
    assert unit_suffix("read_bytes_per_second") == "bytes_per_second"
    assert unit_suffix("reads") == ""
