from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vitald.config.units import (
    MAX_DURATION,
    MAX_SIZE,
    printable,
    quoted,
    read_duration,
    read_percent,
    read_size,
    write_duration,
    write_percent,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("200ms", 0.2),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1w", 604800.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("10 s", 10.0),
        (" 10s ", 10.0),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("10", 10.0),
        ("0.25", 0.25),
        (10, 10.0),
        (0.25, 0.25),
        (0, 0.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10x", '"10x" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("10S", '"10S" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("", '"" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("s", '"s" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("22:30", '"22:30" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("1_0s", '"1_0s" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("\u0661s", '"\u0661s" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("1e3s", '"1e3s" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("-5s", '"-5s" is no duration: write it like 10s, 200ms, 5m or 1h'),
        (-5, '"-5" is no duration: it must not be negative'),
        ("5000w", None),
        ("9999999d", '"9999999d" is no duration: it is longer than a hundred years'),
        (1e300, '"1e+300" is no duration: it is longer than a hundred years'),
        (True, "true is no duration: write it like 10s, 200ms, 5m or 1h"),
        (None, "an empty value is no duration: write it like 10s, 200ms, 5m or 1h"),
        ([1], "a list is no duration: write it like 10s, 200ms, 5m or 1h"),
        ({}, "a section is no duration: write it like 10s, 200ms, 5m or 1h"),
        (float("nan"), '"nan" is no duration: write it like 10s, 200ms, 5m or 1h'),
        (float("inf"), '"inf" is no duration: write it like 10s, 200ms, 5m or 1h'),
        (
            "10\x1b[31ms",
            '"10\\x1b[31ms" is no duration: write it like 10s, 200ms, 5m or 1h',
        ),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(value, message):
    if message is None:
        assert read_duration(value) == 5000 * 604800
        return
    with pytest.raises(ValueError) as caught:
        read_duration(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536),
        ("10MB", 10_000_000),
        ("10 MB", 10_000_000),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1.5GiB", 1610612736),
        ("2TiB", 2199023255552),
        ("1PB", 10**15),
        ("4096", 4096),
        ("4096B", 4096),
        (4096, 4096),
        (4096.0, 4096),
        (0, 0),
    ],
)
def test_a_size_is_read_in_bytes(text, size):
    assert read_size(text) == size
    assert type(read_size(text)) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("64Ki", '"64Ki" is no size: write it like 64KiB, 10MB or 4096'),
        ("10mb", '"10mb" is no size: write it like 64KiB, 10MB or 4096'),
        ("64K", '"64K" is no size: K may mean 1000 or 1024: write 64KiB or 64kB'),
        ("64k", '"64k" is no size: K may mean 1000 or 1024: write 64KiB or 64kB'),
        ("2G", '"2G" is no size: G may mean 1000 or 1024: write 2GiB or 2GB'),
        (-1, '"-1" is no size: it must not be negative'),
        (1.5, '"1.5" is no size: bytes are whole'),
        ("99999PiB", '"99999PiB" is no size: it is more than 2^63 bytes'),
        (2**64, '"18446744073709551616" is no size: it is more than 2^63 bytes'),
        (False, "false is no size: write it like 64KiB, 10MB or 4096"),
        ("0x10", '"0x10" is no size: write it like 64KiB, 10MB or 4096'),
    ],
)
def test_what_is_no_size_is_refused_with_the_reason(value, message):
    with pytest.raises(ValueError) as caught:
        read_size(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "percent"), [("80%", 80.0), ("80 %", 80.0), ("99.5%", 99.5), (80, 80.0), ("80", 80.0)]
)
def test_a_percentage_is_read_as_a_number_to_100(text, percent):
    assert read_percent(text) == percent


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("80x", '"80x" is no percentage: write it like 80%'),
        ("101%", '"101%" is no percentage: it must be from 0% to 100%'),
        (-1, '"-1" is no percentage: it must be from 0% to 100%'),
        ("%", '"%" is no percentage: write it like 80%'),
    ],
)
def test_what_is_no_percentage_is_refused_with_the_reason(value, message):
    with pytest.raises(ValueError) as caught:
        read_percent(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (10.0, "10s"),
        (90.0, "90s"),
        (60.0, "1m"),
        (3600.0, "1h"),
        (86400.0, "1d"),
        (0.2, "200ms"),
        (2.5, "2500ms"),
        (1e-6, "1us"),
        (1e-9, "0.000000001s"),
    ],
)
def test_a_duration_is_written_with_the_largest_whole_unit(seconds, text):
    assert write_duration(seconds) == text


@given(st.floats(1e-9, MAX_DURATION))
@example(0.0)
@example(0.1 + 0.2)
@example(1.2345678901234567e-09)
@example(MAX_DURATION)
def test_a_written_duration_is_read_as_the_same_number(seconds):
    assert read_duration(write_duration(seconds)) == seconds
    assert read_duration(seconds) == seconds


@given(st.integers(0, MAX_SIZE))
def test_a_written_size_is_read_as_the_same_number(size):
    assert read_size(write_size(size)) == size


@given(st.integers(0, 10**9).map(lambda n: n / 10**7))
def test_a_written_percentage_is_read_as_the_same_number(percent):
    assert read_percent(write_percent(percent)) == percent


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()),
    st.from_regex(r"[0-9.]{1,25} ?[a-zA-Zµ%]{0,4}", fullmatch=True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("read", "most"), [(read_duration, MAX_DURATION), (read_size, MAX_SIZE), (read_percent, 100)]
)
@given(value=anything)
def test_readers_return_a_number_in_range_or_raise_value_error(read, most, value):
    message = ""
    try:
        number = read(value)
    except ValueError as error:
        number, message = 0, str(error)
    assert 0 <= number <= most
    assert message.isprintable()
    assert len(message) < 250


@given(st.text())
def test_printable_text_has_nothing_that_a_terminal_acts_on(text):
    assert printable(text).isprintable()
    assert quoted(text).isprintable()


def test_printable_text_stays_as_it_is():
    assert printable("é → ü") == "é → ü"


def test_a_long_value_is_quoted_shortened():
    assert quoted("x" * 100) == '"' + "x" * 59 + '…"'
