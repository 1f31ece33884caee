from __future__ import annotations

from pathlib import Path

from vitald.checks.base import Observation
from vitald.config.load import read
from vitald.metric import MetricType, SeriesKey
from vitald.wire.parse import parse_line
from vitald.wiring import OBSERVATION_DIALECT, observation_lines, series_of, specs_of

CHECKS = b"""\
checks:
  docker: {type: docker}
  one: {type: disk, path: /}
  two: {type: disk, path: /tmp}
"""


def specs(text):
    loaded = read(text, "vitald.yaml", Path.cwd())
    return {spec.name: spec for spec in specs_of(loaded.config)}


def test_the_only_docker_check_speaks_for_the_whole_machine():
    assert specs(CHECKS)["docker"].machine_wide


def test_of_two_docker_checks_each_ones_numbers_are_tagged():
    both = specs(CHECKS + b"  other: {type: docker, url: 'tcp://10.0.0.1:2375'}\n")
    assert not both["docker"].machine_wide
    assert not both["other"].machine_wide


def test_an_observation_enters_the_series_that_it_is_said_to():
    for name, tags in (("load", ()), ("odd name|x", (("pa:th", "/a,b|c"), ("z", "é")))):
        observation = Observation(name, -2.5, tags)
        (line,) = observation_lines([observation], []).splitlines()
        (sample,) = parse_line(line, OBSERVATION_DIALECT).samples
        assert sample.key == series_of(observation)
        assert (sample.values, sample.signed) == ([-2.5], (False,))


def test_a_number_that_could_not_be_read_makes_no_line():
    assert observation_lines([Observation("load", None)], []) == b""


def test_a_duration_is_a_distribution_tagged_by_its_check():
    (sample,) = parse_line(observation_lines([], [("disk", 0.25)])).samples
    assert sample.key == SeriesKey(
        MetricType.DISTRIBUTION, "check_duration_seconds", (("check", "disk"),)
    )
    assert sample.values == [0.25]
