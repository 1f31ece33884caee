from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.config.crosscheck import rings


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["a"]}, [["a"]]),
        ({"a": ["b"], "b": ["a"]}, [["a", "b"]]),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, [["a", "b", "c"]]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_rings_are_found(edges, expected):
    assert rings(edges) == expected


graphs = st.integers(1, 8).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(0, n - 1), max_size=4, unique=True), min_size=n, max_size=n
    )
)


@given(graphs)
def test_there_is_a_ring_exactly_when_no_order_satisfies_all(graph):
    edges = {str(n): [str(parent) for parent in parents] for n, parents in enumerate(graph)}
    found = rings(edges)
    for ring in found:
        for name, parent in zip(ring, [*ring[1:], ring[0]], strict=True):
            assert parent in edges[name]
    left = dict(edges)
    while ready := [name for name in left if not set(left[name]) & set(left)]:
        for name in ready:
            del left[name]
    assert bool(found) == bool(left)


def test_a_chain_longer_than_the_stack_is_followed_in_no_time():
    edges = {str(n): [str(n + 1)] for n in range(20_000)} | {"20000": []}
    started = time.monotonic()
    assert rings(edges) == []
    assert time.monotonic() - started < 2


def test_an_unknown_name_gets_the_nearest_one(faults):
    text = """
    checks:
      network: {type: probe}
      api: {type: probe, depends_on: [network, netwrok]}
      web: {type: probe, depends_on: [5]}
    """
    assert faults(text) == [
        '4:44: checks.api.depends_on[1]: there is no check "netwrok"; did you mean "network"?',
        '5:35: checks.web.depends_on[0]: there is no check "5"; configured: api, network',
    ]


def test_a_ring_is_named_with_its_lines(faults):
    text = """
    checks:
      a: {type: probe, depends_on: [b]}
      b:
        type: probe
        depends_on: [c]
      c: {type: probe, depends_on: [a]}
      self: {type: probe, depends_on: [self]}
    """
    assert faults(text) == [
        "3:20: checks.a.depends_on: goes round in a ring: a (line 3) → b (line 4) → c (line 7) → a",
        "8:23: checks.self.depends_on: goes round in a ring: self (line 8) → self",
    ]


def test_names_count_even_when_their_own_sections_are_wrong(faults):
    text = """
    checks:
      a: {type: probe, depends_on: [b]}
      b: {type: nothing, depends_on: 5}
    """
    assert [fault for fault in faults(text) if "depends_on" in fault] == []


def test_an_address_that_is_listed_twice_is_a_fault(faults):
    text = """
    listen:
      - udp://127.0.0.1
      - unix:///run/x
      - {url: "udp://127.0.0.1:8125"}
      - udp://127.0.0.1:0
      - udp://127.0.0.1:0
    """
    assert faults(text) == ["5:5: listen[2]: udp://127.0.0.1:8125 stands twice: first on line 3"]
