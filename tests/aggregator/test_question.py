from __future__ import annotations

import pytest

from vitald.aggregator import question
from vitald.errors import UsageError
from vitald.metric import MetricType


def test_without_parameters_everything_of_the_last_minute_is_asked_as_json():
    asked = question.metrics_question([])
    assert (asked.window, asked.sort, asked.top, asked.format) == (None, None, None, "json")
    assert asked.selector == question.Selector()


def test_all_parameters_are_read_and_the_selecting_ones_may_be_repeated():
    asked = question.metrics_question(
        [
            ("name", "a*"),
            ("name", "b"),
            ("tag", "queue=mail"),
            ("tag", "host"),
            ("tag", "bare="),
            ("type", "timer"),
            ("type", "set"),
            ("window", "5m"),
            ("sort", "p99"),
            ("top", "10"),
            ("format", "csv"),
        ]
    )
    assert asked.selector.names == ("a*", "b")
    assert asked.selector.tags == (("queue", "mail"), ("host", "*"), ("bare", ""))
    assert asked.selector.types == (MetricType.TIMER, MetricType.SET)
    assert (asked.window, asked.sort, asked.top, asked.format) == (300.0, "p99", 10, "csv")


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("10s", 10), ("1h", 3600), ("1h30m", 5400), ("1500ms", 1.5)]
)
def test_a_window_is_seconds_or_a_duration(text, seconds):
    assert question.metrics_question([("window", text)]).window == seconds


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([("window", "10x")], 'cannot read parameter window: "10x" is no duration'),
        ([("window", "0")], "cannot read parameter window: it must be from 1s to 31d"),
        ([("window", "-5")], "cannot read parameter window:"),
        ([("window", "nan")], "cannot read parameter window:"),
        ([("window", "1e3")], "cannot read parameter window:"),
        ([("window", "١٢")], "cannot read parameter window:"),
        ([("window", "60"), ("window", "10")], "cannot read parameter window: it is given 2 times"),
        ([("sort", "p98")], 'there is no sort "p98"; did you mean "p9'),
        ([("type", "timr")], 'there is no type "timr"; did you mean "timer"?'),
        ([("format", "yaml")], 'there is no format "yaml"'),
        ([("top", "0")], "cannot read parameter top: 0 is not from 1 to 1000000"),
        ([("top", "1_0")], 'cannot read parameter top: "1_0" is no whole number'),
        ([("top", "²")], "cannot read parameter top:"),
        ([("tag", "=x")], 'cannot read parameter tag: "=x" has no key before ='),
        ([("name", "")], 'cannot read parameter "name": it is empty'),
        ([("nmae", "x")], 'cannot read parameter "nmae": there is none; did you mean "name"?'),
        ([("name", "x")] * 65, "cannot read the query: more than 64 parameters"),
        ([("format", "prometheus"), ("top", "3")], "cannot sort the prometheus format"),
        ([("\x1b[31m", "x")], r'cannot read parameter "\x1b[31m": there is none'),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_name_and_the_right_spelling(parameters, message):
    with pytest.raises(UsageError) as raised:
        question.metrics_question(parameters)
    assert message in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_watch_of_metrics_takes_what_metrics_take():
    asked = question.watch_question([("name", "a"), ("interval", "5s"), ("sort", "count")])
    assert (asked.what, asked.every) == ("metrics", 5.0)
    assert asked.metrics.sort == "count"


def test_a_watch_of_health_takes_names():
    asked = question.watch_question([("what", "health"), ("name", "db")])
    assert (asked.what, asked.every, asked.names) == ("health", 2.0, ("db",))


@pytest.mark.parametrize(
    "parameters",
    [
        [("what", "helth")],
        [("what", "health"), ("window", "60")],
        [("what", "stats"), ("name", "db")],
        [("interval", "10ms")],
        [("interval", "2h")],
        [("format", "csv")],
    ],
)
def test_a_watch_refuses_what_its_document_does_not_take(parameters):
    with pytest.raises(UsageError):
        question.watch_question(parameters)


def test_an_export_takes_a_window_and_is_json_only():
    assert question.export_question([("window", "10"), ("format", "json")]).window == 10.0
    for wrong in [("format", "csv"), ("name", "a")]:
        with pytest.raises(UsageError):
            question.export_question([wrong])


def test_the_other_questions_take_their_own_parameter_and_no_other():
    assert question.names_question([("name", "a"), ("name", "b")]) == ("a", "b")
    assert question.limit_question([("limit", "5")]) == 5
    assert question.limit_question([]) is None
    question.no_question([])
    for ask in (question.names_question, question.limit_question, question.no_question):
        with pytest.raises(UsageError):
            ask([("other", "1")])
