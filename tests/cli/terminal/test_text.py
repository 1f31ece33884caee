"""Nothing that a stranger wrote reaches a terminal raw."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.cli.terminal.text import ASCII_ERRORS, Escaper, escape, escape_lines, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.name", "plain.name"),
        ("größe 大", "größe 大"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
        ("\x9b31m", "\\u009b31m"),  # CSI as one C1 character
        ("a\rb", "a\\rb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("del\x7f", "del\\u007f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),  # right-to-left override
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),  # isolates
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\udb40\\udc41"),  # a tag character, invisible
    ],
)
def test_a_character_that_is_not_plainly_visible_is_escaped(text, shown):
    assert escape(text) == shown


@given(st.text())
def test_escaped_text_has_no_control_or_format_character(text):
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [char for char in escape(text) if unicodedata.category(char) in bad]


@given(st.text())
def test_escaped_lines_differ_from_escaped_text_by_line_feeds_alone(text):
    assert escape_lines(text).replace("\n", "\\n") == escape(text)


@given(st.dictionaries(st.text(), st.text()))
def test_json_that_is_escaped_for_a_terminal_is_still_the_same_json(document):
    raw = json.dumps(document, ensure_ascii=False)
    assert json.loads(escape_lines(raw)) == document


@given(st.binary(), st.lists(st.integers(0, 50)))
def test_a_stream_is_escaped_alike_however_it_is_cut(data, cuts):
    whole = Escaper().feed(data, end=True)
    escaper, pieces, at = Escaper(), [], 0
    for cut in cuts:
        pieces.append(escaper.feed(data[at : at + cut]))
        at += cut
    pieces.append(escaper.feed(data[at:], end=True))
    assert "".join(pieces) == whole


def test_bytes_that_are_not_utf8_are_escaped():
    assert Escaper().feed(b"a\xff\x1b", end=True) == "a\\xff\\u001b"


@pytest.mark.parametrize(("text", "cells"), [("abc", 3), ("大", 2), ("e\u0301", 1), ("", 0)])
def test_width_counts_terminal_cells(text, cells):
    assert width(text) == cells


def test_a_stream_without_unicode_gets_ascii_marks():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors=ASCII_ERRORS)
    stream.write("✔ healthy, 12.0µs, ü▁█")
    stream.flush()
    assert raw.getvalue() == b"+ healthy, 12.0us, \\u00fc_#"
