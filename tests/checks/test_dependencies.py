from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.dependencies import dependency_faults, find_cycle
from vitald.checks.spec import CheckSpec


def specs(**parents):
    return [
        CheckSpec(name, "sample", "module:Class", depends_on=tuple(above))
        for name, above in parents.items()
    ]


def test_a_chain_and_a_diamond_are_fine():
    assert dependency_faults(specs(a=[], b=["a"], c=["a"], d=["b", "c"])) == []


def test_an_unknown_parent_is_named():
    assert dependency_faults(specs(db=["netwrok"])) == [
        "cannot schedule check db: it depends on netwrok, which is not configured"
    ]


def test_a_cycle_is_shown_as_the_way_around_it():
    (fault,) = dependency_faults(specs(a=["b"], b=["c"], c=["a"], d=["a"]))
    assert fault == (
        "cannot schedule checks: they depend on each other in a circle: a -> b -> c -> a"
    )


def test_a_check_that_depends_on_itself_is_a_cycle():
    assert find_cycle({"a": ["a"]}) == ["a", "a"]


def test_a_repeated_name_is_refused():
    assert dependency_faults([*specs(a=[]), *specs(a=[])]) == [
        "cannot schedule check a: the name is taken"
    ]


def test_a_chain_of_ten_thousand_does_not_exhaust_the_stack():
    parents = {f"c{number}": [f"c{number + 1}"] for number in range(10_000)}
    assert find_cycle(parents) == []
    parents["c10000"] = ["c0"]
    assert len(find_cycle(parents)) == 10_002


names = st.sampled_from("abcdef")


@given(st.dictionaries(names, st.lists(names, max_size=4)))
def test_a_cycle_is_found_exactly_when_there_is_no_order(parents):
    cycle = find_cycle(parents)
    left = dict(parents)
    while ready := [n for n, above in left.items() if not any(p in left for p in above)]:
        for name in ready:
            del left[name]
    assert bool(cycle) == bool(left)
    for child, parent in pairwise(cycle):
        assert parent in parents[child]
    if cycle:
        assert cycle[0] == cycle[-1]


@pytest.mark.parametrize("missing", ["x", ""])
def test_a_parent_that_does_not_exist_ends_no_search(missing):
    assert find_cycle({"a": [missing]}) == []
