from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.documents import Measured
from vitald.aggregator.interval import Row
from vitald.aggregator.ordering import Ordering
from vitald.aggregator.question import SORT_KEYS
from vitald.metric import MetricType

values = st.none() | st.floats() | st.sampled_from([0.0, 1.0])


@st.composite
def measured(draw):
    number = st.floats(0, 1e9)
    kind = draw(st.sampled_from([MetricType.COUNTER, MetricType.TIMER]))
    tags = (("n", str(draw(st.integers(0, 10**6)))),)
    row = Row(kind, draw(st.sampled_from("abc")), tags, draw(number), draw(number))
    row.min, row.max, row.last = draw(values), draw(values), draw(values)
    row.unique = draw(st.none() | st.integers(0, 5))
    quantiles = draw(st.lists(values, min_size=4, max_size=4)) if kind is MetricType.TIMER else ()
    return Measured(row, draw(values), quantiles)


def reference(rows, sort, top):
    """Sort all at once, from the words of the documentation."""

    def value(each):
        if sort in {"p50", "p90", "p95", "p99"}:
            at = ("p50", "p90", "p95", "p99").index(sort)
            return each.quantiles[at] if each.quantiles else None
        return each.rate if sort == "rate" else getattr(each.row, sort)

    def key(each):
        found = value(each)
        tie = (each.row.name, each.row.tags, each.row.type.value)
        if sort in {"name", "type"}:
            return (str(getattr(found, "value", found)), 0, *tie)
        missing = found is None or not math.isfinite(found)
        return (missing, 0 if missing else -found, *tie)

    return sorted(rows, key=key)[:top]


@given(
    st.lists(st.lists(measured(), max_size=8), max_size=6),
    st.sampled_from(SORT_KEYS),
    st.none() | st.integers(1, 12),
)
def test_sorting_in_runs_equals_sorting_at_once(batches, sort, top):
    expected = reference([each for batch in batches for each in batch], sort, top)
    for few in (0, 2000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vitald.aggregator.ordering._FEW", few)
            ordering = Ordering(sort, top, lambda each: str(id(each)))
        for batch in batches:
            ordering.add(batch)
        assert list(ordering) == [str(id(each)) for each in expected]


@pytest.mark.parametrize("sort", SORT_KEYS)
def test_equal_rows_need_no_order_of_their_own(sort):
    twins = [Measured(Row(MetricType.COUNTER, "a", ()), None, ()) for _ in range(3)]
    ordering = Ordering(sort, None, repr)
    ordering.add(twins)
    ordering.add(twins)
    assert len(list(ordering)) == 6


def test_with_few_rows_wanted_only_those_wait_and_only_those_are_rendered():
    rendered = []
    ordering = Ordering("sum", 3, lambda each: rendered.append(each) or "")
    for batch in range(50):
        ordering.add(
            [
                Measured(Row(MetricType.COUNTER, "a", (), 1.0, float(batch * 10 + n)), None, ())
                for n in range(10)
            ]
        )
        assert sum(len(run) for run in ordering._runs) == 3
    assert len(list(ordering)) == len(rendered) == 3
    assert [each.row.sum for each in rendered] == [499, 498, 497]
