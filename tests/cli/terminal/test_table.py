"""Aligned text."""

from __future__ import annotations

from vitald.cli.terminal.table import Cell, Column, Table, line, plain


def _table(*rows, columns=None, title=""):
    columns = columns or [Column("NAME"), Column("COUNT", right=True)]
    return Table(columns, [[Cell(text) for text in row] for row in rows], title)


def test_text_is_aligned_left_and_numbers_right():
    shown = list(plain([_table(("jobs", "7"), ("a.longer.name", "1,234"))]))
    assert shown == [
        "NAME           COUNT",
        "jobs               7",
        "a.longer.name  1,234",
    ]


def test_no_line_ends_in_blanks():
    columns = [Column("A"), Column("B")]
    shown = list(plain([_table(("x", "long text"), ("y", ""), columns=columns)]))
    assert shown == ["A  B", "x  long text", "y"]


def test_wide_characters_keep_the_columns_straight():
    shown = list(plain([_table(("大小", "1"), ("abcd", "2"))]))
    assert shown == ["NAME  COUNT", "大小      1", "abcd      2"]


def test_a_hostile_cell_is_escaped_and_stays_on_its_line():
    shown = list(plain([_table(("evil\x1b[2J\nname", "1")), line("x\x9by")]))
    assert shown == ["NAME                 COUNT", "evil\\u001b[2J\\nname      1", "x\\u009by"]


def test_colour_comes_only_when_asked_for_and_never_shifts_a_column():
    table = Table([Column("A"), Column("B")], [[Cell("x", "bad"), Cell("y")]])
    plainly = list(plain([table]))
    coloured = list(plain([table], colour=True))
    assert plainly == ["A  B", "x  y"]
    assert coloured == ["\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m", "\x1b[1;31mx\x1b[0m  y"]


def test_a_title_stands_over_its_table():
    shown = list(plain([line("head"), _table(("a", "1"), title="T")]))
    assert shown == ["head", "T", "NAME  COUNT", "a         1"]


def test_columns_that_say_nothing_are_dropped():
    columns = [Column("A"), Column("B"), Column("C")]
    table = _table(("x", "-", "1"), ("y", "", "-"), columns=columns)
    assert list(plain([table.without_empty_columns("-")])) == ["A  C", "x  1", "y  -"]


def test_a_table_without_columns_prints_nothing():
    assert list(plain([Table([], [])])) == []
