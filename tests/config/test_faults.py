from __future__ import annotations

import pytest

from vitald.config.faults import Fault, Position, dotted, render


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("interval",), "interval"),
        (("checks", "api", "warning"), "checks.api.warning"),
        (("listen", 0, "url"), "listen[0].url"),
        (("checks", "a.b", "x"), 'checks."a.b".x'),
        (("", "x"), '"".x'),
        (("a\x1b[0m",), '"a\\x1b[0m"'),
        (("x" * 70,), '"' + "x" * 59 + '…"'),
        (("größe",), "größe"),
    ],
)
def test_a_key_is_named_by_its_place(path, text):
    assert dotted(path) == text


def test_faults_stand_in_the_order_of_the_file_each_once():
    late = Fault(Position(10, 1), ("b",), "late")
    early = Fault(Position(2, 30), ("a",), "early")
    assert render("f.yaml", [late, early, late]) == [
        "f.yaml:2:30: a: early",
        "f.yaml:10:1: b: late",
    ]


def test_a_fault_without_a_key_has_place_and_message():
    assert render("f.yaml", [Fault(Position(1, 1), (), "bad")]) == ["f.yaml:1:1: bad"]


def test_control_characters_of_a_name_and_a_message_are_escaped():
    fault = Fault(Position(1, 1), (), "bad\n\x1b[31m")
    assert render("\x1bf.yaml", [fault]) == ["\\x1bf.yaml:1:1: bad\\n\\x1b[31m"]


def test_of_very_many_faults_a_hundred_are_shown_and_the_rest_is_counted():
    lines = render("f.yaml", [Fault(Position(n, 1), (), "bad") for n in range(1, 251)])
    assert len(lines) == 101
    assert lines[-1] == "f.yaml: and 150 more"
