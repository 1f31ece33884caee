from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from vitald.aggregator import prometheus
from vitald.metric import MetricType

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = texts | st.text("ab.-_:/0é", max_size=4)
tags = st.dictionaries(names, texts, max_size=5).map(lambda t: tuple(sorted(t.items())))


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("jobs_total", "jobs_total"),
        ("api.request-time", "api_request_time"),
        ("a:b", "a_b"),
        ("5xx", "_5xx"),
        ("é", "_"),
        ("", "_"),
    ],
)
def test_a_name_becomes_the_nearest_legal_one(name, legal):
    assert prometheus.metric_name(name) == legal


@given(names)
def test_every_name_becomes_legal(name):
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", prometheus.metric_name(name))
    label = prometheus.label_name(name)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label)
    assert not label.startswith("__")
    assert label not in {"quantile", "le"}


@given(tags)
def test_labels_are_read_back_with_every_value_and_no_label_twice(pairs):
    text = "# TYPE x gauge\n" + prometheus.sample("x", prometheus.label_pairs(pairs), 1.0)
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert sorted(sample.labels.values()) == sorted(value or "true" for _, value in pairs)


def test_keys_that_become_the_same_label_are_numbered():
    labels = prometheus.label_pairs((("a-b", "1"), ("a.b", "2"), ("a_b", "3")))
    assert labels == 'a_b="1",a_b_2="2",a_b_3="3"'


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.5, "0.5"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)
def test_a_value_is_spelt_as_the_format_wants(value, text):
    assert prometheus.number(value) == text


@given(texts)
def test_a_help_text_is_one_line_and_is_read_back(text):
    rendered = prometheus.header("x", "gauge", text) + "x 1\n"
    (family,) = text_string_to_metric_families(rendered)
    assert family.type == "gauge"
    # The parser strips blanks around the text; the escaping is what is looked at here.
    assert "\n" not in rendered.splitlines()[0]
    assert prometheus.escape_help(text).count("\n") == 0


def test_a_counter_ends_in_total_and_is_not_given_it_twice():
    assert prometheus.sample_names(MetricType.COUNTER, "jobs") == ("jobs_total",)
    assert prometheus.sample_names(MetricType.COUNTER, "jobs_total") == ("jobs_total",)


@given(st.lists(st.tuples(st.sampled_from(list(MetricType)), names), unique=True, max_size=40))
def test_no_two_families_ever_share_a_sample_name(families):
    given_names = prometheus.Names(reserved=["vitald_lines_total"])
    taken = {"vitald_lines_total"}
    for kind, original in families:
        samples = set(prometheus.sample_names(kind, given_names.take(kind, original)))
        assert not samples & taken
        taken |= samples


def test_the_first_comer_keeps_the_name_and_a_released_name_is_free_again():
    given_names = prometheus.Names()
    assert given_names.take(MetricType.GAUGE, "a.b") == "a_b"
    assert given_names.take(MetricType.GAUGE, "a-b") == "a_b_gauge"
    third = given_names.take(MetricType.GAUGE, "a_b")
    assert re.fullmatch(r"a_b_[0-9a-f]{6}", third)
    given_names.release(MetricType.GAUGE, "a_b")
    assert given_names.take(MetricType.GAUGE, "a/b") == "a_b"


def test_a_gauge_cannot_take_the_name_of_a_timers_count():
    given_names = prometheus.Names()
    assert given_names.take(MetricType.TIMER, "x") == "x"
    assert given_names.take(MetricType.GAUGE, "x_count") == "x_count_gauge"


def test_series_whose_labels_coincide_are_told_apart():
    first = prometheus.distinct_labels((("a", ""),), set())
    second = prometheus.distinct_labels((("a", "true"),), {first})
    assert first == 'a="true"'
    assert re.fullmatch(r'a="true",vitald_series="[0-9a-f]{12}"', second)
