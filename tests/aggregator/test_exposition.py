from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from vitald.aggregator.exposition import SLICE, Exposition
from vitald.aggregator.interval import Row
from vitald.aggregator.selector import Selector
from vitald.metric import SAMPLED_TYPES, MetricType
from vitald.sketch import Sketch

EVERYTHING = Selector()


class FakeInterval:
    def __init__(self, rows, seconds=10.0, late=()):
        self.seconds = seconds
        self.late = late
        self._rows = rows

    def rows(self, *, idle=False):
        assert idle
        for start in range(0, len(self._rows), 1000):
            yield self._rows[start : start + 1000]


class FakeEngine:
    """Answers every question with the same rows."""

    def __init__(self, rows=()):
        self._rows = list(rows)

    def query(self, selector, window):
        matches = selector.matcher()
        rows = [row for row in self._rows if matches(row)]
        answer = type("Answer", (), {})()
        answer.rows = lambda: iter([rows])
        return answer


def counter(name, value, *tags):
    return Row(MetricType.COUNTER, name, tags, count=1.0, sum=value)


def timer(name, values, *tags):
    sketch = Sketch()
    sketch.insert([float(value) for value in values])
    row = Row(MetricType.TIMER, name, tags, sketch.count, sketch.sum, sketch.min, sketch.max)
    row.histogram = sketch
    return row


def parsed(text):
    """Read the page as Prometheus would, and see that no sample stands there twice."""
    samples = {}
    families = {}
    for family in text_string_to_metric_families(text):
        families[family.name] = family.type
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"{key} stands there twice"
            samples[key] = sample.value
    promtool = shutil.which("promtool")
    if promtool and text:
        # Its lint finds fault with names, which are the senders'; only a parse error is ours.
        done = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert "error while linting" not in done.stderr, done.stderr
    return families, samples


async def page(exposition, collect, engine=None, selector=EVERYTHING):
    return await collect(exposition.render(engine or FakeEngine(), selector, 60.0))


async def test_counters_add_up_over_intervals(collect):
    exposition = Exposition()
    for value in (3.0, 4.0):
        await exposition.observe(FakeInterval([counter("jobs", value, ("queue", "mail"))]))
    text = await page(exposition, collect)
    assert text == (
        "# HELP jobs_total StatsD counter jobs\n"
        "# TYPE jobs_total counter\n"
        'jobs_total{queue="mail"} 7\n'
    )


async def test_late_samples_are_added_too(collect):
    exposition = Exposition()
    interval = FakeInterval([counter("jobs", 1.0)], late=[counter("jobs", 5.0)])
    await exposition.observe(interval)
    _, samples = parsed(await page(exposition, collect))
    assert samples == {("jobs_total", ()): 6.0}


async def test_an_interval_that_would_lower_a_counter_is_left_out_and_counted(collect):
    exposition = Exposition()
    for value in (5.0, -2.0, 1.0):
        await exposition.observe(FakeInterval([counter("jobs", value)]))
    _, samples = parsed(await page(exposition, collect))
    assert samples == {("jobs_total", ()): 6.0}
    assert exposition.negative_rows == 1


async def test_a_timer_is_a_summary_with_totals_and_the_windows_quantiles(collect):
    exposition = Exposition()
    await exposition.observe(FakeInterval([timer("render.time", [1, 2])]))
    await exposition.observe(FakeInterval([timer("render.time", [3])]))
    engine = FakeEngine([timer("render.time", [100])])
    families, samples = parsed(await page(exposition, collect, engine))
    assert families == {"render_time": "summary"}
    assert samples["render_time_count", ()] == 3
    assert samples["render_time_sum", ()] == 6
    assert samples["render_time", (("quantile", "0.99"),)] == 100


async def test_without_a_sample_in_the_window_a_summary_has_no_quantile(collect):
    exposition = Exposition()
    await exposition.observe(FakeInterval([timer("render", [1, 2])]))
    _, samples = parsed(await page(exposition, collect))
    assert samples == {("render_sum", ()): 3, ("render_count", ()): 2}


async def test_a_gauge_shows_its_last_value_and_a_set_its_members_in_the_window(collect):
    exposition = Exposition()
    users = Row(MetricType.SET, "users", (), count=9.0, unique=4)
    level = Row(MetricType.GAUGE, "level", (), last=-3.0)
    await exposition.observe(FakeInterval([level, users]))
    _, samples = parsed(await page(exposition, collect, FakeEngine([level, users])))
    assert samples == {("level", ()): -3, ("users", ()): 4}
    _, samples = parsed(await page(exposition, collect))
    assert samples == {("users", ()): 0}


async def test_a_gauge_that_cannot_be_read_at_present_is_absent_with_its_head(collect):
    exposition = Exposition()
    await exposition.observe(FakeInterval([Row(MetricType.GAUGE, "containers", (), last=3.0)]))
    engine = FakeEngine([Row(MetricType.GAUGE, "containers", ())])
    assert await page(exposition, collect, engine) == ""


async def test_the_event_loop_has_its_turn_even_where_nothing_is_selected():
    exposition = Exposition()
    await exposition.observe(FakeInterval([counter(f"a{n}", 1.0) for n in range(3000)]))
    pieces = [p async for p in exposition.render(FakeEngine(), Selector(names=("b",)), 60.0)]
    assert set(pieces) == {""}
    assert len(pieces) >= 3000 // SLICE


async def test_only_the_selected_series_are_shown(collect):
    exposition = Exposition()
    rows = [counter("jobs", 1.0, ("queue", q)) for q in ("mail", "bulk")]
    await exposition.observe(FakeInterval([*rows, timer("render", [1])]))
    selector = Selector(names=("j*",), tags=(("queue", "mail"),), types=(MetricType.COUNTER,))
    _, samples = parsed(await page(exposition, collect, selector=selector))
    assert samples == {("jobs_total", (("queue", "mail"),)): 1}


async def test_a_series_that_is_silent_for_the_expiry_is_forgotten(collect):
    exposition = Exposition(expiry=100.0)
    await exposition.observe(FakeInterval([counter("old.one", 1.0), counter("new", 1.0)]))
    for _ in range(11):
        await exposition.observe(FakeInterval([counter("new", 1.0)]))
    assert exposition.active == 1
    await exposition.observe(FakeInterval([counter("old-one", 2.0)]))
    _, samples = parsed(await page(exposition, collect))
    # The name is free again, and the total starts anew.
    assert samples["old_one_total", ()] == 2


async def test_an_idle_series_that_the_engine_still_holds_is_kept():
    exposition = Exposition(expiry=100.0)
    for _ in range(30):
        await exposition.observe(FakeInterval([Row(MetricType.COUNTER, "jobs", ())]))
    assert exposition.active == 1


async def test_beyond_the_limit_new_series_are_counted_and_old_ones_go_on(collect):
    exposition = Exposition(limit=2)
    rows = [counter("jobs", 1.0, ("n", str(n))) for n in range(5)]
    await exposition.observe(FakeInterval(rows))
    await exposition.observe(FakeInterval(rows))
    _, samples = parsed(await page(exposition, collect))
    assert list(samples.values()) == [2, 2]
    assert (exposition.active, exposition.shed_rows) == (2, 6)


async def test_overlapping_observations_wait_in_line(collect):
    import asyncio

    exposition = Exposition()
    rows = [counter("jobs", 1.0, ("n", str(n))) for n in range(600)]
    await asyncio.gather(*(exposition.observe(FakeInterval(rows)) for _ in range(3)))
    _, samples = parsed(await page(exposition, collect))
    assert set(samples.values()) == {3.0}


async def test_series_that_appear_while_a_page_is_written_break_nothing(collect):
    exposition = Exposition()
    await exposition.observe(FakeInterval([counter(f"a{n:04}", 1.0) for n in range(1000)]))
    pieces = exposition.render(FakeEngine(), EVERYTHING, 60.0)
    first = await anext(pieces)
    await exposition.observe(FakeInterval([counter(f"a{n:04}", 1.0) for n in range(2000)]))
    _, samples = parsed(first + await collect(pieces))
    assert len(samples) == 1000


names = st.text('ab.-:/_0é\\\n" ', min_size=1, max_size=4) | st.sampled_from(
    ["x", "x_total", "x_count", "x_sum", "x.total", "quantile"]
)
keys = st.sampled_from(["a", "a.b", "a-b", "le", "quantile", "__name__", "é", "0", "job"])
tag_values = st.text('ab\\"\né', max_size=3)


@st.composite
def some_rows(draw):
    kind = draw(st.sampled_from(list(MetricType)))
    tags = tuple(sorted(draw(st.dictionaries(keys, tag_values, max_size=3)).items()))
    if kind in SAMPLED_TYPES:
        row = timer(draw(names), [1.0], *tags)
        row.type = kind
        return row
    return Row(kind, draw(names), tags, count=1.0, sum=1.0, last=1.0, unique=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(some_rows(), max_size=30, unique_by=lambda row: (row.type, row.name, row.tags)))
async def test_whatever_is_sent_the_page_is_legal_and_every_series_is_on_it(collect, rows):
    exposition = Exposition()
    await exposition.observe(FakeInterval(rows))
    families, samples = parsed(await page(exposition, collect, FakeEngine(rows)))
    expected = sum(6 if row.type in SAMPLED_TYPES else 1 for row in rows)
    assert len(samples) == expected
    assert len(families) <= len({(row.type, row.name) for row in rows})


@pytest.mark.parametrize("kind", list(MetricType))
async def test_the_family_of_every_type_has_help_and_type_before_its_samples(collect, kind):
    exposition = Exposition()
    row = Row(kind, "a", (), count=1.0, sum=1.0, last=1.0, unique=1)
    await exposition.observe(FakeInterval([row]))
    lines = (await page(exposition, collect, FakeEngine([row]))).splitlines()
    assert lines[0].startswith("# HELP a")
    assert lines[1].startswith("# TYPE a")
    assert not lines[2].startswith("#")
