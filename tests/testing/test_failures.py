"""The whole message of a failed assertion: it is what a person works with."""

from __future__ import annotations

from textwrap import dedent

import pytest

from vitald.testing import RecordingClient, only


@pytest.fixture
def recorder():
    with RecordingClient() as client:
        client.incr("jobs", 2, tags={"queue": "mail"})
        client.incr("jobs", 1, tags={"queue": "sms"})
        client.gauge("depth", 7)
        yield client


EVERYTHING = """\
recorded (3 series):
  counter jobs{queue=mail}: total 2
  counter jobs{queue=sms}: total 1
  gauge depth: level 7"""


def message_of(assertion, *arguments, **options):
    with pytest.raises(AssertionError) as caught:
        assertion(*arguments, **options)
    return str(caught.value)


def test_another_value_is_shown_beside_all_that_was_recorded(recorder):
    assert message_of(recorder.assert_incr, "jobs", 3, tags={"queue": "mail"}) == (
        "expected counter jobs{queue=mail}: total 3\n"
        "   found counter jobs{queue=mail}: total 2\n" + EVERYTHING
    )


def test_series_that_count_together_are_shown_with_their_total(recorder):
    assert message_of(recorder.assert_incr, "jobs", 4) == (
        "expected counter jobs: total 4\n"
        "   found counter jobs{queue=mail}: total 2\n"
        "   found counter jobs{queue=sms}: total 1\n"
        "   which is a total of 3\n" + EVERYTHING
    )


@pytest.mark.parametrize(
    ("call", "head"),
    [
        (
            lambda recorder: recorder.assert_incr("job", 2),
            """\
            expected counter job: total 2
             nearest counter jobs{queue=mail}: total 2 (another name)""",
        ),
        (
            lambda recorder: recorder.assert_incr("jobs", 2, tags={"queue": "fax"}),
            """\
            expected counter jobs{queue=fax}: total 2
             nearest counter jobs{queue=mail}: total 2 (other tags)""",
        ),
        (
            lambda recorder: recorder.assert_incr("jobs", tags=only({"queue": "sms", "env": "t"})),
            """\
            expected counter jobs with only {queue=sms, env=t}: total 1
             nearest counter jobs{queue=sms}: total 1 (other tags)""",
        ),
        (
            lambda recorder: recorder.assert_incr("depth", 7),
            """\
            expected counter depth: total 7
             nearest gauge depth: level 7 (another type)""",
        ),
        (
            lambda recorder: recorder.assert_gauge("depths", 7, tags={"a": 1}),
            """\
            expected gauge depths{a=1}: level 7
             nearest gauge depth: level 7 (another name, other tags)""",
        ),
        (
            lambda recorder: recorder.assert_timing("latency", 5, count=2),
            """\
            expected timer latency: value 5, 2 of them
             nothing like it was recorded""",
        ),
        (
            lambda recorder: recorder.assert_event("deploy", alert_type="error"),
            """\
            expected event deploy: text ANY, alert_type 'error'
             nothing like it was recorded""",
        ),
    ],
)
def test_the_nearest_miss_is_named_with_what_differs(recorder, call, head):
    assert message_of(call, recorder) == dedent(head) + "\n" + EVERYTHING


def test_totals_that_differ_are_shown_with_different_texts():
    recorder = RecordingClient()
    for _ in range(3):
        recorder.incr("bytes", 0.1, tags={"way": "in"})
    assert message_of(recorder.assert_incr, "bytes", 0.3).splitlines()[:2] == [
        "expected counter bytes: total 0.3",
        "   found counter bytes{way=in}: total 0.30000000000000004",
    ]


def test_an_event_is_shown_with_the_fields_that_were_compared():
    recorder = RecordingClient()
    recorder.event("deploy", "v2", alert_type="error", host="web", tags={"env": "live"})
    recorder.event("deploy", "v3")
    assert message_of(recorder.assert_event, "deploy", alert_type="success").splitlines()[:3] == [
        "expected event deploy: text ANY, alert_type 'success'",
        "   found event deploy{env=live}: text 'v2', alert_type 'error'",
        "   found event deploy: text 'v3', alert_type 'info'",
    ]


def test_a_service_check_is_shown_with_the_names_of_its_status():
    recorder = RecordingClient()
    recorder.service_check("db", 1, message="slow")
    assert message_of(
        recorder.assert_service_check, "db", "critical", message="no answer"
    ).splitlines()[:2] == [
        "expected service_check db: status 2 (critical), message 'no answer'",
        "   found service_check db: status 1 (warning), message 'slow'",
    ]


def test_what_should_not_be_there_is_shown_and_nothing_else(recorder):
    assert message_of(recorder.assert_not_recorded, "jobs", tags={"queue": "sms"}) == (
        "expected no jobs{queue=sms}\n   found counter jobs{queue=sms}: total 1"
    )


def test_an_empty_record_is_said_to_be_empty():
    assert message_of(RecordingClient().assert_incr, "jobs") == (
        "expected counter jobs: total 1\n"
        " nothing like it was recorded\n"
        "nothing was recorded at all"
    )  # fmt: skip


def test_values_that_could_not_be_recorded_are_named(recorder):
    recorder.incr("jobs", "three", tags={"queue": "fax"})
    assert message_of(recorder.assert_incr, "jobs", 3, tags={"queue": "fax"}).endswith(
        "\ndropped: 1 bad_value"
    )


def test_a_long_record_is_shown_in_part():
    recorder = RecordingClient()
    for number in range(60):
        recorder.incr(f"jobs_{number}")
    message = message_of(recorder.assert_incr, "nothing")
    assert "recorded (60 series):" in message
    assert message.endswith("counter jobs_49: total 1\n  … 10 more")
