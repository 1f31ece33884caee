from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.forwarders.summary import datadog_values, native_values, statsd_values
from vitald.sketch import Sketch

PERCENTILES = (50, 90, 99.9, -10)

positive = st.floats(1e-3, 1e6)
samples = st.lists(positive, min_size=1, max_size=200)


def sketch_of(values, rate=1.0):
    sketch = Sketch()
    sketch.insert(values, 1 / rate)
    return sketch


def reference(values, seconds, percentiles):
    """Work a timer out from all its samples, as the reference server's documentation says."""
    ordered = sorted(values)
    count = len(ordered)
    total = math.fsum(ordered)
    mean = total / count
    middle = count // 2
    out = {
        "std": math.sqrt(math.fsum((v - mean) ** 2 for v in ordered) / count),
        "upper": ordered[-1],
        "lower": ordered[0],
        "count": count,
        "count_ps": count / seconds,
        "sum": total,
        "sum_squares": math.fsum(v * v for v in ordered),
        "mean": mean,
        "median": ordered[middle] if count % 2 else sum(ordered[middle - 1 : middle + 1]) / 2,
    }
    for percentile in percentiles:
        kept = count if count == 1 else math.floor(abs(percentile) / 100 * count + 0.5)
        if not kept:
            continue
        part = ordered[:kept] if percentile > 0 else ordered[count - kept :]
        label = f"{percentile}".replace(".", "_").replace("-", "top")
        out[f"count_{label}"] = kept
        out[f"sum_{label}"] = math.fsum(part)
        out[f"sum_squares_{label}"] = math.fsum(v * v for v in part)
        out[f"mean_{label}"] = math.fsum(part) / kept
        edge = ("upper", part[-1]) if percentile > 0 else ("lower", part[0])
        out[f"{edge[0]}_{label}"] = edge[1]
    return out


@given(samples)
def test_statsd_values_have_the_reference_names_and_are_within_the_stated_bounds(values):
    sketch = sketch_of(values)
    error = sketch.relative_error * (1 + 1e-9)
    exact = reference(values, 10.0, PERCENTILES)
    ours = dict(statsd_values(sketch, 10.0, PERCENTILES))
    assert ours.keys() == exact.keys()
    root_mean_square = math.sqrt(exact["sum_squares"] / exact["count"])
    for name, value in exact.items():
        if name in {"upper", "lower", "count", "count_ps"} or name.startswith("count_"):
            assert ours[name] == value, name
        elif name in {"sum", "mean"}:
            assert ours[name] == pytest.approx(value, rel=1e-12), name
        elif name == "std":
            slack = 1e-9 * root_mean_square
            assert abs(ours[name] - value) <= error * root_mean_square + slack, name
        elif name.startswith("sum_squares"):
            assert ours[name] == pytest.approx(value, rel=2 * error + error**2), name
        else:
            assert ours[name] == pytest.approx(value, rel=error), name


@given(samples)
def test_all_of_the_samples_give_exact_extremes_and_sums(values):
    ours = dict(statsd_values(sketch_of(values), 1.0, [99.999999]))
    assert ours["upper_100"] == max(values)
    assert ours["sum_100"] == pytest.approx(math.fsum(values), rel=1e-12)


@given(positive, st.integers(1, 1000))
def test_equal_samples_are_exact_throughout(value, count):
    ours = dict(statsd_values(sketch_of([value] * count), 10.0, [90]))
    for name in ("upper", "lower", "mean", "median", "upper_90", "mean_90"):
        assert ours[name] == pytest.approx(value, rel=1e-12), name
    assert ours["std"] == pytest.approx(0.0, abs=1e-6 * value)


def test_negative_samples_keep_their_order():
    ours = dict(statsd_values(sketch_of([-8.0, -4.0, 0.0, 4.0]), 1.0, [50, -50]))
    assert (ours["lower"], ours["upper"]) == (-8.0, 4.0)
    assert ours["upper_50"] == pytest.approx(-4.0, rel=0.0055)
    assert ours["lower_top50"] == 0.0
    assert ours["median"] == pytest.approx(-2.0, rel=0.0055)


def test_a_percentile_of_no_sample_is_left_out():
    ours = dict(statsd_values(sketch_of([1.0, 2.0]), 1.0, [10, 90]))
    assert "upper_10" not in ours
    assert ours["upper_90"] == 2.0


def test_sampled_timers_are_weighted():
    ours = dict(statsd_values(sketch_of([1.0, 2.0], rate=0.1), 10.0, [50]))
    assert (ours["count"], ours["count_ps"], ours["sum"], ours["mean"]) == (20, 2.0, 30.0, 1.5)
    assert ours["count_50"] == 10
    assert ours["upper_50"] == pytest.approx(1.0, rel=0.0055)


@pytest.mark.parametrize("rate", [0.3, 0.7, 1 / 3])
def test_weights_that_are_not_whole_stay_in_the_samples(rate):
    ours = dict(statsd_values(sketch_of([1.0, 2.0, 4.0], rate=rate), 10.0, [90, -90]))
    assert ours["upper"] == 4.0
    assert 1.0 <= ours["median"] <= 4.0
    assert ours["sum_90"] <= ours["sum"]
    assert all(math.isfinite(value) for value in ours.values())


@given(samples)
def test_datadog_values_are_the_agents_aggregates(values):
    sketch = sketch_of(values)
    ours = dict(datadog_values(sketch, [95, 99]))
    ordered = sorted(values)
    rank = math.ceil(0.95 * len(values)) - 1
    assert list(ours) == ["avg", "count", "max", "median", "95percentile", "99percentile"]
    assert (ours["count"], ours["max"]) == (len(values), max(values))
    assert ours["avg"] == pytest.approx(math.fsum(values) / len(values))
    assert ours["95percentile"] == pytest.approx(ordered[rank], rel=sketch.relative_error * 1.0001)


def test_native_values_have_the_words_of_the_metrics_document(make):
    assert native_values(make.counter("x", 5.0), 10.0, []) == [("sum", 5.0), ("rate", 0.5)]
    assert native_values(make.gauge("x", -2.5), 10.0, []) == [("last", -2.5)]
    assert native_values(make.unique("x", 3), 10.0, []) == [("unique", 3)]
    names = [name for name, _ in native_values(make.timer("x"), 10.0, [50, 99.9])]
    assert names == ["count", "rate", "sum", "min", "max", "mean", "p50", "p99_9"]


def test_a_series_without_samples_has_no_values(make):
    empty = Sketch()
    assert statsd_values(empty, 10.0, [90]) == datadog_values(empty, [95]) == []
    idle = make.timer("x")
    idle.histogram = empty
    assert native_values(idle, 10.0, [50]) == []
