from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.forwarders.graphite_names import (
    Naming,
    bounded,
    clean_name,
    folded_tags,
    prefix_of,
    tag_key,
    tag_value,
    tags_suffix,
)


def paths(naming, row):
    return [path for path, _ in naming.points(clean_name(row.name), row, 10.0)]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.b-c_1", "a.b-c_1"),
        ("a b\tc", "a_b_c"),
        ("a/b", "a-b"),
        ("a:b|c@d", "abcd"),
        ("..a...b.", "a.b"),
        ("../../etc/passwd", "-.-etc-passwd"),
        ("größe", "größe"),
        ("a\u00a0b\u2028c", "a_b_c"),
        ("a;b=c", "abc"),
        ("\ud800x", "x"),
        (":::", ""),
    ],
)
def test_names_follow_the_reference_servers_rule(name, clean):
    assert clean_name(name) == clean


@given(st.text())
def test_a_clean_name_is_one_field_and_stays_inside_the_data_directory(name):
    clean = clean_name(name)
    assert len(clean.split()) <= 1
    assert "/" not in clean
    assert ".." not in clean
    assert not clean.startswith(".")
    assert not clean.endswith(".")
    assert clean_name(clean) == clean


@given(st.text(min_size=1), st.text())
def test_clean_tags_pass_carbons_own_validation(key, value):
    key, value = tag_key(key), tag_value(value)
    assert key
    assert not set(key) & set(";!^=")
    assert value
    assert ";" not in value
    assert not value.startswith("~")
    assert len(f"{key}={value}".split()) == 1
    assert key != "name"


@pytest.mark.server("graphite-carbon")
def test_debians_carbon_parses_every_odd_tag_back(carbon_python):
    odd = ("~tilde", '{"x"}', "a b", "", "=", "a=b", "~~", 'end"}', "ö", "semi;colon")
    tags = tuple((f"k{i}!^=", value) for i, value in enumerate(odd))
    path = "x" + tags_suffix((*tags, ("name", "mine")))
    script = (
        "import sys; from carbon.util import TaggedSeries;"
        "s = TaggedSeries.parse(sys.argv[1]); print(s.metric, len(s.tags), s.tags['name_'])"
    )
    out = subprocess.run(
        [carbon_python, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["x", str(len(odd) + 2), "mine"]


def test_the_statsd_profile_has_the_reference_servers_names(make):
    naming = Naming("statsd", "stats", True, (90.0,))
    assert paths(naming, make.counter("x")) == ["stats.counters.x.rate", "stats.counters.x.count"]
    assert paths(naming, make.gauge("x")) == ["stats.gauges.x"]
    assert paths(naming, make.unique("x")) == ["stats.sets.x.count"]
    assert set(paths(naming, make.timer("x"))) == {
        f"stats.timers.x.{suffix}"
        for suffix in (
            *("std", "upper", "lower", "count", "count_ps", "sum", "sum_squares", "mean", "median"),
            *("count_90", "mean_90", "upper_90", "sum_90", "sum_squares_90"),
        )
    }


def test_the_legacy_profile_has_the_older_namespace(make):
    naming = Naming("statsd_legacy", "stats", True, ())
    assert paths(naming, make.counter("x")) == ["stats.x", "stats_counts.x"]
    assert paths(naming, make.gauge("x")) == ["stats.gauges.x"]


def test_the_datadog_profile_has_the_agents_names(make):
    naming = Naming("datadog", "", True, (95.0,))
    assert paths(naming, make.counter("x")) == ["x"]
    assert paths(naming, make.gauge("x")) == ["x"]
    assert paths(naming, make.unique("x")) == ["x"]
    assert paths(naming, make.timer("x")) == [
        *("x.avg", "x.count", "x.max", "x.median", "x.95percentile")
    ]


def test_the_native_profile_has_the_words_of_the_cli(make):
    naming = Naming("native", "app", True, (50.0,))
    assert paths(naming, make.counter("x")) == ["app.x.sum", "app.x.rate"]
    assert paths(naming, make.gauge("x")) == ["app.x.last"]
    assert paths(naming, make.timer("x"))[-2:] == ["app.x.mean", "app.x.p50"]


def test_tags_stand_behind_the_whole_path(make):
    row = make.counter("x", tags=(("a", "1"), ("bare", "")))
    naming = Naming("statsd", "stats", True, ())
    assert paths(naming, row)[0] == "stats.counters.x.rate;a=1;bare=true"


def test_without_tags_they_are_folded_into_the_name(make):
    row = make.counter("x", tags=(("a", "1.2.3"), ("bare", ""), ("c", ":")))
    naming = Naming("statsd", "stats", False, ())
    assert paths(naming, row)[0] == "stats.counters.x.a.1_2_3.bare.true.c._.rate"
    assert folded_tags(row.tags) == "a.1_2_3.bare.true.c._"


def test_a_series_own_host_tag_wins_over_the_common_one(make):
    naming = Naming("datadog", "", True, (), (("host", "here"),))
    assert paths(naming, make.gauge("x")) == ["x;host=here"]
    assert paths(naming, make.gauge("x", tags=(("host", "there"),))) == ["x;host=there"]


def test_the_prefix_takes_the_host_as_one_component():
    assert prefix_of("servers.{host}.", "web-1.example.org") == "servers.web-1_example_org"
    assert prefix_of("", "web") == ""


@given(st.text(alphabet="aé.", min_size=1, max_size=700))
def test_every_component_fits_a_file_name_with_its_ending(path):
    for component in bounded(path).split("."):
        assert len(component.encode()) + len(".wsp") <= 255


def test_long_components_that_differ_at_their_end_stay_different():
    assert bounded("a" * 300 + "b") != bounded("a" * 300 + "c")
    assert bounded("a" * 251) == "a" * 251
