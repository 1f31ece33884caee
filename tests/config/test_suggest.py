from __future__ import annotations

import pytest

from vitald.config.suggest import nearest, suggestion

KEYS = ["interval", "timeout", "depends_on", "url"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("intervall", "interval"),
        ("Interval", "interval"),
        ("depends-on", "depends_on"),
        ("ulr", "url"),
        ("timout", "timeout"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_spelling_is_found(word, meant):
    assert nearest(word, KEYS) == meant


def test_a_suggestion_names_what_was_meant_or_else_everything():
    assert suggestion("ulr", KEYS) == '; did you mean "url"?'
    assert suggestion("zzz", KEYS) == "; known: depends_on, interval, timeout, url"
    assert suggestion("zzz", [], "installed") == "; none is installed"


def test_a_long_list_is_cut():
    text = suggestion("zzz", [f"k{number:02}" for number in range(40)])
    assert text.endswith("k28, k29, …")


def test_a_word_of_a_megabyte_costs_nothing():
    assert nearest("x" * 2**20, KEYS) is None
