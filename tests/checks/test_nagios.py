from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.nagios import (
    PERFDATA_LIMIT,
    Perfdata,
    parse_output,
    parse_perfdata,
    status_of,
)
from vitald.status import Status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("load1=0.500;5.000;10.000;0; ", [("load1", 0.5, "")]),
        (
            "/=12924747776B;243497277849;257024904396;0;270552530944",
            [("/", 12924747776.0, "bytes")],
        ),
        (
            "rta=0.149000ms;100;500;0.000 pl=0%;20;60;0;",
            [("rta", 1.49e-4, "seconds"), ("pl", 0, "percent")],
        ),
        ("'C:\\ used space'=17%", [("C:\\ used space", 17, "percent")]),
        ("'it''s'=1", [("it's", 1, "")]),
        ("time=U", [("time", None, "")]),
        ("hits=42c", [("hits", 42, "")]),
        (
            "a=1KB b=1KiB c=2MiB d=1GB",
            [
                ("a", 1000, "bytes"),
                ("b", 1024, "bytes"),
                ("c", 2097152, "bytes"),
                ("d", 1e9, "bytes"),
            ],
        ),
        (
            "a=5us b=5µs c=5ns",
            [("a", 5e-6, "seconds"), ("b", 5e-6, "seconds"), ("c", 5e-9, "seconds")],
        ),
        ("t=21.5C", [("t", 21.5, "C")]),
        (
            "a=-3 b=+3 c=.5 d=1. e=1e3",
            [("a", -3, ""), ("b", 3, ""), ("c", 0.5, ""), ("d", 1, ""), ("e", 1000, "")],
        ),
        ("a=1;~:5;@1:2;; b=2", [("a", 1, ""), ("b", 2, "")]),
        ("a=1 a=2", [("a", 1, "")]),
        ("\t a=1 \n b=2 ", [("a", 1, ""), ("b", 2, "")]),
        ("", []),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str) else "",
)
def test_performance_data_is_read_by_the_guidelines(text, expected):
    items, malformed = parse_perfdata(text)
    assert malformed == 0
    assert [(item.label, item.unit) for item in items] == [
        (name, unit) for name, _, unit in expected
    ]
    for item, (_, value, _) in zip(items, expected, strict=False):
        assert item.value == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a=",
        "=1",
        "a=x",
        "a=1,5",
        "a=nan",
        "a=inf",
        "a=1e999",
        "a=0x10",
        "a=1_0",
        "a=\u0661",
        "''=1",
        "'open=1",
    ],
)
def test_what_is_no_number_is_counted_and_the_rest_is_kept(text):
    items, malformed = parse_perfdata(f"before=1 {text} after=2")
    assert malformed == 1
    assert [item.label for item in items] == ["before", "after"]


def test_text_and_numbers_of_all_lines_are_told_apart():
    output = parse_output(
        "DISK OK - fine | /=1B\nlong text\nmore text | /home=2B\n/var=3B;;;\n/opt=4B\n"
    )
    assert output.text == "DISK OK - fine"
    assert [item.label for item in output.perfdata] == ["/", "/home", "/var", "/opt"]


def test_output_without_numbers_and_no_output_at_all():
    assert parse_output("just text\nand more\n") == ("just text", (), 0)
    assert parse_output("") == ("", (), 0)
    assert parse_output("|") == ("", (), 0)


def test_numbers_beyond_the_limit_are_counted():
    items, malformed = parse_perfdata(" ".join(f"n{i}={i}" for i in range(PERFDATA_LIMIT + 10)))
    assert (len(items), malformed) == (PERFDATA_LIMIT, 10)


@pytest.mark.parametrize("text", ["' " * 30_000, "'" * 60_000, "=" * 60_000, "a" * 60_000])
def test_hostile_output_costs_no_more_than_its_length(text):
    started = time.process_time()
    parse_perfdata(text)
    # Quadratic time would be minutes.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((0, Status.HEALTHY), (1, Status.WARNING), (2, Status.CRITICAL), (3, Status.UNKNOWN)),
        *((4, Status.UNKNOWN), (127, Status.UNKNOWN), (-9, Status.UNKNOWN)),
    ],
)
def test_an_exit_code_beyond_the_four_says_nothing(code, status):
    assert status_of(code) is status


@given(st.text())
def test_no_output_raises_and_every_number_is_finite(text):
    for item in parse_output(text).perfdata:
        assert item.value is None or math.isfinite(item.value)
        assert item.label.strip()


LABELS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20
)


@given(st.dictionaries(LABELS, st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_what_is_written_by_the_guidelines_is_read_back(numbers):
    text = " ".join(
        "'{}'={!r};1;2".format(label.replace("'", "''"), value) for label, value in numbers.items()
    )
    expected = tuple(Perfdata(label, value, "") for label, value in numbers.items())
    assert parse_perfdata(text) == (expected, 0)
