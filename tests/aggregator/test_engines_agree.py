"""The native engine gives the reference engine's answers, whatever happens to both."""

from __future__ import annotations

import random

import pytest
from agreement import Twins, TwinsOverSockets, compare_histograms
from engines import ENGINES, NO_NATIVE, at, rows_of
from hostile import DIALECTS, HUGE, SMALL, WINDOWS, Ingest, Tick, Vocabulary, story
from hypothesis import given, settings
from hypothesis import strategies as st

from vitald.aggregator.selector import Selector
from vitald.errors import UsageError

if "native" not in ENGINES:
    pytest.skip(NO_NATIVE, allow_module_level=True)

OPTIONS = st.fixed_dictionaries(
    {
        "series_limit": st.sampled_from([100, 1, 4, 15]),
        "set_exact_limit": st.sampled_from([1000, 2, 0]),
        "histogram_scale": st.sampled_from([6, 0, 8]),
        "series_expiry": st.sampled_from([30.0, 900.0]),
    }
)


@st.composite
def stories(draw, words=SMALL, steps=25):
    def choose(options):
        return draw(st.sampled_from(options))

    return story(choose, draw(st.integers(1, steps)), words)


def heavy_words(source):
    """Return as many words as a busy machine's: three hundred names, values of every magnitude."""
    names = tuple(b"%b%d" % (source.choice((b"a", b"b", b"g", b"t")), at) for at in range(300))
    values = (
        *(b"%d" % source.randrange(-10, 10**6) for _ in range(200)),
        *(repr(source.lognormvariate(3, 2)).encode() for _ in range(300)),
        *(b"%.3f" % source.uniform(-50, 5000) for _ in range(200)),
        *(b"%.17e" % 10 ** source.uniform(-12, 12) for _ in range(100)),
        *(b"%d:%d:%d" % tuple(source.choices(range(1000), k=3)) for _ in range(50)),
    )
    return Vocabulary((*SMALL.names, *names), (*SMALL.values, *values))


@settings(max_examples=200, deadline=None)
@given(stories(), OPTIONS)
def test_any_story_ends_in_the_same_rows_intervals_and_books(told, options):
    Twins(interval=1.0, windows=WINDOWS, **options).play(told)


@settings(max_examples=50, deadline=None)
@given(stories(HUGE))
def test_sums_beyond_a_double_cost_no_more_than_the_sums(told):
    Twins(interval=1.0, windows=WINDOWS).play(told)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=30), st.sampled_from(DIALECTS), st.booleans())
def test_any_bytes_are_entered_in_the_same_books(pieces, dialect, cut):
    twins = Twins()
    twins.play([Ingest(b"\n".join(pieces), "udp", cut, dialect), Tick(10.0)])


@pytest.mark.parametrize("series_limit", [100_000, 150], ids=["room", "overflow"])
@pytest.mark.parametrize("seed", range(3))
def test_heavy_traffic_ends_in_the_same_rows_intervals_and_books(seed, series_limit):
    source = random.Random(seed)
    told = story(source.choice, 120, heavy_words(source), most_lines=(40, 200, 600))
    twins = Twins(interval=1.0, windows=WINDOWS, series_limit=series_limit, set_exact_limit=20)
    twins.play(told)
    assert twins.compare_ledgers()["aggregated"] > 2000


@pytest.mark.parametrize("seed", range(10))
def test_what_comes_over_many_sockets_ends_as_what_comes_over_one(seed):
    source = random.Random(seed)
    told = story(source.choice, 60, most_lines=(1, 2, 5, 12))
    options = {"series_limit": source.choice((100, 4)), "set_exact_limit": source.choice((1000, 2))}
    TwinsOverSockets(source.choice, interval=1.0, windows=WINDOWS, **options).play(told)


def test_hours_at_the_default_windows_end_in_the_same_rows_and_books():
    source = random.Random(5)
    words = heavy_words(source)
    twins = Twins(series_limit=200)
    for _ in range(400):  # the levels of ten seconds, of one and of five minutes fill up
        for step in story(source.choice, 2, words, most_lines=(10, 30)):
            if isinstance(step, Ingest):
                twins.ingest(*step)
        twins.tick(10.0 + source.uniform(-0.01, 0.01))
        twins.ask(source.choice((10.0, 60.0, 300.0, 900.0, 3600.0)), Selector())
    twins.compare_ledgers()


def test_a_wide_histogram_gives_up_resolution_in_the_same_steps():
    source = random.Random(3)
    twins = Twins(histogram_scale=8)
    for decades in (1, 4, 12, 40, 300):
        values = [10 ** source.uniform(-decades, decades) for _ in range(3000)]
        values += [-value for value in values[::3]]
        lines = b"\n".join(b"t:%r|ms" % value for value in values)
        twins.ingest(lines)
        twins.tick(10.0)
        twins.ask(3600.0, Selector())


def test_a_histogram_is_the_same_at_the_edges_of_its_buckets():
    edges = [2.0 ** (at / 64) for at in range(-640, 640)]
    values = [edge * (1 + ulps * 2.0**-52) for edge in edges for ulps in range(-3, 4)]
    values += [2.0**at for at in range(-1074, 1024)]
    reference, other = (ENGINES[name](at(0)) for name in ("python", "native"))
    for engine in (reference, other):
        for start in range(0, len(values), 1000):
            lines = (b"t%d:%r|ms" % (start, value) for value in values[start : start + 1000])
            engine.ingest(b"\n".join(lines))
    rows = [rows_of(engine.rotate(at(10))) for engine in (reference, other)]
    assert rows[0].keys() == rows[1].keys()
    for key, row in rows[0].items():
        compare_histograms(row.histogram, rows[1][key].histogram, summed=abs(row.sum) * 1e-12)


def test_estimates_of_large_sets_are_the_same_to_the_last_member():
    twins = Twins()
    for tick in range(12):
        lines = (b"s%d:user-%d|s" % (n % 3, tick * n) for n in range(500 * (tick + 1)))
        twins.ingest(b"\n".join(lines))
        twins.tick(10.0)
        twins.ask(60.0, Selector())


@pytest.mark.parametrize("limit", [0, 1, 50, 1000])
def test_a_set_is_estimated_from_the_same_member_on(limit):
    twins = Twins(set_exact_limit=limit)
    for size in range(max(limit - 2, 1), limit + 4):
        members = [b"%d-%d" % (size, member) for member in range(size)]
        twins.ingest(b"\n".join(b"alone%d:%b|s" % (size, member) for member in members))
        twins.ingest(b"\n".join(b"united%d:%b|s" % (size, member) for member in members[::2]))
        twins.tick(10.0)
        twins.ingest(b"\n".join(b"united%d:%b|s" % (size, member) for member in members[1:]))
        twins.tick(10.0)
    for window in (10.0, 60.0, 3600.0):
        twins.ask(window, Selector())


def test_a_gauge_that_deltas_move_from_everywhere_is_at_the_same_place():
    twins, source = Twins(), random.Random(8)
    for _ in range(30):
        lines = (
            b"g:%b%d.%d|g%b" % (
                source.choice((b"+", b"-", b"+", b"-", b"")), source.randrange(10**6),
                source.randrange(1000), source.choice((b"", b"|#x:1,y:1", b"|#y:1,x:1")),
            )
            for _ in range(200)
        )  # fmt: skip
        twins.ingest(b"\n".join(lines))
        twins.tick(10.0)
        twins.ask(300.0, Selector())


def test_a_question_that_no_window_covers_is_refused_in_the_same_words():
    twins = Twins()
    said = []
    for engine in twins.engines:
        with pytest.raises(UsageError) as refusal:
            engine.query(Selector(), 7200)
        said.append(str(refusal.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("window", [0.0, 1.0, 9.9, 10.0, 59.0, 61.0, 299.5, 3600.0])
def test_a_window_between_the_configured_ones_covers_the_same_span(window):
    twins = Twins()
    for tick in range(500):
        twins.ingest(b"a:%d|c\ng:%d|g\nt:%d|ms" % (tick, tick, tick))
        twins.tick(10.0)
        if tick % 7 == 0:
            twins.ask(window, Selector())
