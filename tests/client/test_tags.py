from __future__ import annotations

from types import MappingProxyType

import pytest

from vitald.client.tags import canonical


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (None, ()),
        ({}, ()),
        ([], ()),
        ({"b": 2, "a": True}, (("a", "True"), ("b", "2"))),
        (MappingProxyType({"a": "1"}), (("a", "1"),)),
        (["b:2", "bare", "a:1:2"], (("a", "1:2"), ("b", "2"), ("bare", ""))),
        (iter(["a:1"]), (("a", "1"),)),
        ("b:2,a:1", (("a", "1"), ("b", "2"))),
        (["a:1", "a:2"], (("a", "2"),)),
        ([":1", ""], ()),
        ({"a|b": "c,d"}, (("a_b", "c_d"),)),
        ([("b", 2), ["a", "1:2"], "c"], (("a", "1:2"), ("b", "2"), ("c", ""))),
    ],
)
def test_tags_have_one_form(tags, expected):
    assert canonical(tags) == expected


def test_tags_go_over_a_base():
    assert canonical({"a": "2"}, (("a", "1"), ("z", "9"))) == (("a", "2"), ("z", "9"))


@pytest.mark.parametrize("tags", [5, [5], [b"ab"], [("a",)], [("a", "b", "c")]], ids=repr)
def test_what_is_no_tag_is_an_error(tags):
    with pytest.raises((TypeError, ValueError)):
        canonical(tags)
