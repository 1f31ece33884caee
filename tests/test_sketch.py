"""The histogram against all raw samples."""

from __future__ import annotations

import random
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.sketch import MAX_BUCKETS, Sketch, index_of, midpoint, total, upper_bound

BOUND = 0.0055
FRACTIONS = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)

floats = st.floats(allow_nan=False, allow_infinity=False, width=64)
samples = st.lists(floats, min_size=1, max_size=200)


def exact(values, fraction):
    """The smallest value with at least `fraction` of all values at or below it."""
    ordered = sorted(values)
    return ordered[max(0, ceil(fraction * len(ordered) * (1 - 1e-12)) - 1)]


def within_bound(answer, truth):
    return abs(answer - truth) <= BOUND * abs(truth)


def sketch_of(values, weight=1.0):
    sketch = Sketch()
    sketch.insert(values, weight)
    return sketch


DISTRIBUTIONS = {
    "lognormal": lambda r: r.lognormvariate(3, 1),
    "pareto": lambda r: r.paretovariate(1.5),
    "uniform": lambda r: r.uniform(0, 1000),
    "normal around zero": lambda r: r.gauss(0, 10),
    "integers with zeros": lambda r: float(r.randrange(5)),
    "bimodal": lambda r: r.gauss(1, 0.01) if r.random() < 0.9 else r.gauss(5000, 1),
    "constant": lambda _: 42.0,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_quantile_is_within_the_bound_of_the_raw_samples(name):
    source = random.Random(7)
    values = [DISTRIBUTIONS[name](source) for _ in range(20_000)]
    answers = sketch_of(values).quantiles(FRACTIONS)
    for fraction, answer in zip(FRACTIONS, answers, strict=True):
        assert within_bound(answer, exact(values, fraction)), fraction


@given(samples, samples, st.sampled_from([0.5, 0.25, 0.1]))
def test_merging_weighted_sides_equals_aggregating_the_union(left, right, rate):
    """A sampled line of one slot and a plain one of another, each at its weight."""
    merged = sketch_of(left, 1 / rate)
    merged.merge(sketch_of(right))
    union = sketch_of(right)
    union.insert(left, 1 / rate)
    assert merged.positive == union.positive
    assert merged.negative == union.negative
    assert merged.count == union.count == len(left) / rate + len(right)


@given(samples)
def test_any_quantile_of_any_samples_is_within_the_bound(values):
    sketch = sketch_of(values)
    for fraction, answer in zip(FRACTIONS, sketch.quantiles(FRACTIONS), strict=True):
        truth = exact(values, fraction)
        # Subnormal numbers have too few digits for a relative error.
        assert within_bound(answer, truth) or abs(answer - truth) < 1e-300


@given(samples, samples)
def test_merging_equals_inserting_the_union(left, right):
    merged = sketch_of(left)
    merged.merge(sketch_of(right))
    union = sketch_of(left + right)
    assert merged.positive == union.positive
    assert merged.negative == union.negative
    assert merged.zero_count == union.zero_count
    assert (merged.count, merged.min, merged.max) == (union.count, union.min, union.max)
    # Large values of both signs cancel out, and take small ones with them.
    magnitude = sum(map(abs, left + right))
    assert magnitude == inf or abs(merged.sum - union.sum) <= 1e-12 * magnitude


@given(samples, samples, samples)
def test_merging_is_associative_and_leaves_the_other_side_alone(a, b, c):
    right = sketch_of(b)
    right.merge(sketch_of(c))
    one = sketch_of(a)
    one.merge(right)
    other = sketch_of(a)
    middle = sketch_of(b)
    other.merge(middle)
    other.merge(sketch_of(c))
    assert one.positive == other.positive
    assert one.negative == other.negative
    assert middle.count == len(b)


@pytest.mark.parametrize("power", range(-1074, 1024, 37))
def test_a_power_of_two_lies_in_the_bucket_below_it(power):
    assert index_of(2.0**power) == power * 64 - 1
    assert upper_bound(power * 64 - 1) == 2.0**power


@given(st.floats(min_value=1e-300, max_value=1.7e308))
def test_a_value_lies_between_the_edges_of_its_bucket(value):
    index = index_of(value)
    slack = 1 + 1e-12
    assert upper_bound(index - 1) <= value * slack
    assert value <= upper_bound(index) * slack
    assert within_bound(midpoint(index), value)


def test_a_weight_counts_a_sample_that_many_times():
    weighted = sketch_of([1.0, 2.0], 10.0)
    copied = sketch_of([1.0] * 10 + [2.0] * 10)
    assert weighted.positive == copied.positive
    assert (weighted.count, weighted.sum) == (20.0, 30.0)
    assert weighted.quantiles(FRACTIONS) == copied.quantiles(FRACTIONS)


def test_an_empty_histogram_has_no_quantiles():
    assert Sketch().quantiles((0.5, 0.99)) == [None, None]


def test_the_widest_range_of_doubles_stays_bounded_and_says_what_it_costs():
    source = random.Random(3)
    values = [2.0 ** source.uniform(-1022, 1023) for _ in range(60_000)]
    sketch = sketch_of(values)
    assert len(sketch.positive) <= MAX_BUCKETS
    assert sketch.scale < 6
    assert sketch.count == len(values)
    median = sketch.quantile(0.5)
    truth = exact(values, 0.5)
    assert abs(median - truth) <= sketch.relative_error * truth * (1 + 1e-9)


def test_histograms_of_different_scales_merge_to_the_coarser_one():
    coarse, fine = Sketch(3), Sketch(6)
    coarse.insert([1.5, 3.0])
    fine.insert([1.6, 100.0])
    for one, other in ((coarse.copy(), fine), (fine.copy(), coarse)):
        one.merge(other)
        assert one.scale == 3
        union = Sketch(3)
        union.insert([1.5, 3.0, 1.6, 100.0])
        assert one.positive == union.positive


def test_a_sum_beyond_the_largest_double_is_infinite_and_raises_nothing():
    sketch = sketch_of([1.7e308, 1.7e308])
    assert sketch.sum == inf
    assert sketch.count == 2


@given(st.lists(st.floats(allow_nan=False), max_size=20))
def test_no_sum_raises_not_even_of_infinities_of_both_signs(values):
    assert isinstance(total(values), float | int)
