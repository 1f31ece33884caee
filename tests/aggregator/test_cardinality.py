from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.cardinality import Members

members = st.lists(st.binary(max_size=8), max_size=60)


def of(items, limit=1000):
    counted = Members(limit)
    counted.add(items)
    return counted


@given(members)
def test_up_to_the_limit_the_count_is_exact(items):
    assert of(items).count() == len(set(items))


@pytest.mark.parametrize("size", [1001, 5_000, 50_000, 300_000])
def test_beyond_the_limit_the_estimate_is_within_four_standard_errors(size):
    estimate = of(b"member-%d" % i for i in range(size)).count()
    assert estimate == pytest.approx(size, rel=4 * 0.01625)


@given(members, members, st.sampled_from([5, 1000]))
def test_merging_equals_adding_the_union_and_leaves_the_other_side_alone(left, right, limit):
    merged, other = of(left, limit), of(right, limit)
    before = other.count()
    merged.merge(other)
    assert merged.count() == of(left + right, limit).count()
    assert other.count() == before


@given(members, members)
def test_an_exact_and_an_estimated_side_merge_either_way(left, right):
    one, other = of(left, 0), of(right, 1000)
    one.merge(other)
    turned = of(right, 1000)
    turned.merge(of(left, 0))
    assert one.count() == turned.count() or not left


def test_a_member_counts_once_however_often_it_comes():
    assert of([b"x"] * 5000, 2).count() == 1


def test_a_long_member_is_told_apart_by_all_of_its_bytes_in_bounded_memory():
    long = [b"x" * 60_000 + b"%d" % i for i in range(50)]
    counted = of(long + long)
    assert counted.count() == 50
    assert max(map(len, counted.exact)) <= 64
