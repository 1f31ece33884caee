"""Tables drawn with rich."""

from __future__ import annotations

import io

from vitald.cli.terminal.boxes import console, draw
from vitald.cli.terminal.table import Cell, Column, Table, line, plain


def _drawn(blocks, monkeypatch, *, width=40, colour=False):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    console(stream, colour=colour).print(draw(blocks, width))
    return stream.getvalue()


def _table(columns, *rows):
    return Table(columns, [[Cell(text) for text in row] for row in rows])


def test_a_table_that_fits_has_every_column(monkeypatch):
    columns = [Column("NAME"), Column("COUNT", right=True, spare=1)]
    shown = _drawn([_table(columns, ("jobs", "7"))], monkeypatch)
    assert shown == "NAME  COUNT\n───────────\njobs      7\n"


def test_a_narrow_screen_does_without_spare_columns_and_says_so(monkeypatch):
    columns = [Column("NAME"), Column("A", spare=1), Column("B", spare=2), Column("C")]
    blocks = [_table(columns, ("n" * 10, "a" * 10, "b" * 10, "c" * 10))]
    shown = _drawn(blocks, monkeypatch, width=40)
    assert shown.splitlines()[0].split() == ["NAME", "A", "C"]
    assert shown.splitlines()[-1] == "not shown on this narrow screen: B"
    shown = _drawn(blocks, monkeypatch, width=30)
    assert shown.splitlines()[0].split() == ["NAME", "C"]
    assert " ".join(shown.split()).endswith("not shown on this narrow screen: B, A")


def test_long_text_that_may_wrap_does_not_cost_a_column(monkeypatch):
    columns = [Column("NAME", spare=1), Column("MESSAGE", fold=True)]
    shown = _drawn([_table(columns, ("jobs", "word " * 40))], monkeypatch, width=60)
    assert shown.splitlines()[0].split() == ["NAME", "MESSAGE"]
    assert shown.count("word") == 40


def test_markup_emoji_and_links_are_text(monkeypatch):
    hostile = "[red]x[/red] :boom: [link=file:///etc]y[/link]"
    blocks = [line(hostile), _table([Column("[b]")], (hostile,))]
    shown = _drawn(blocks, monkeypatch, width=100, colour=True)
    assert shown.count(hostile) == 2
    assert "\x1b]8" not in shown


def test_control_characters_are_escaped_everywhere(monkeypatch):
    evil = "\x1b[2J\x9b\u202e\r\n"
    blocks = [line(evil), Table([Column(evil)], [[Cell(evil)]], evil)]
    shown = _drawn(blocks, monkeypatch, width=100)
    assert shown.replace("\n", "").isprintable()
    assert shown.count("\\u001b[2J\\u009b\\u202e\\r\\n") == 4


def test_long_text_is_wrapped_and_never_lost(monkeypatch):
    name = "".join(f"part{number:02}." for number in range(20))
    columns = [Column("NAME", fold=True), Column("COUNT", right=True)]
    shown = _drawn([_table(columns, (name, "1,234,567"))], monkeypatch, width=40)
    assert max(map(len, shown.splitlines())) <= 40
    folded = "".join(row[:29].strip() for row in shown.splitlines()[2:])
    assert folded == name
    assert "1,234,567" in shown


def test_without_colour_there_is_no_escape_sequence(monkeypatch):
    blocks = [line(Cell("x", "bad")), Table([Column("A")], [[Cell("y", "good")]], "T")]
    assert "\x1b" not in _drawn(blocks, monkeypatch)
    assert "\x1b[1;31mx\x1b[0m" in _drawn(blocks, monkeypatch, colour=True)


def test_both_forms_show_the_same_words(monkeypatch):
    columns = [Column("NAME"), Column("COUNT", right=True)]
    blocks = [line("head"), _table(columns, ("jobs", "7"), ("x", "8"))]
    drawn = _drawn(blocks, monkeypatch).replace("─", "").split()
    assert drawn == " ".join(plain(blocks)).split()
