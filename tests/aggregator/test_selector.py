from __future__ import annotations

import json
from pathlib import Path

import pytest

from vitald.aggregator.selector import Selector
from vitald.metric import MetricType, SeriesKey

GLOBS = json.loads((Path(__file__).parents[1] / "data" / "globs.json").read_text("utf-8"))


def named(name):
    return SeriesKey(MetricType.COUNTER, name, ())


@pytest.mark.parametrize("entry", GLOBS, ids=lambda entry: ascii(entry["glob"]))
def test_a_glob_matches_what_the_corpus_says(entry):
    match = Selector(names=[entry["glob"]]).matcher()
    for kind, expected in (("matches", True), ("misses", False)):
        assert [bool(match(named(name))) for name in entry[kind]] == [expected] * len(entry[kind])


def test_any_name_and_any_type_will_do_but_every_tag_must_match():
    key = SeriesKey(MetricType.TIMER, "web.time", (("bare", ""), ("host", "a1")))
    for expected, selector in [
        (True, Selector()),
        (True, Selector(names=["x", "web.*"])),
        (False, Selector(names=["x", "time"])),
        (True, Selector(types=[MetricType.COUNTER, MetricType.TIMER])),
        (False, Selector(types=[MetricType.COUNTER])),
        (True, Selector(tags=[("host", "a?"), ("bare", "")])),
        (False, Selector(tags=[("host", "a?"), ("bare", "x")])),
        (False, Selector(tags=[("host", "a*"), ("host", "*2")])),
        (False, Selector(tags=[("absent", "*")])),
    ]:
        assert bool(selector.matcher()(key)) is expected
