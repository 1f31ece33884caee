"""What a RecordingClient records is what a Client sends; what it asserts holds or fails."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from unittest import mock

import pytest
from calls import record_everything
from in_use import new_since, threads_and_files

from vitald import Client
from vitald.testing import ANY, RecordingClient, approx, only


@pytest.fixture
def recorder():
    with RecordingClient() as client:
        yield client


def lines_of_a_real_client(directory):
    path = str(directory / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)
        client = Client(f"unixgram://{path}", prefix="app", tags={"env": "test"})
        record_everything(client)
        assert client.close()
        lines = []
        with suppress(BlockingIOError):
            while True:
                lines += sock.recv(65536).decode().split("\n")
    return [line for line in lines if not line.startswith("vitald.client.")]


def test_the_lines_are_those_that_a_real_client_sends(tmp_path):
    recorder = RecordingClient(prefix="app", tags={"env": "test"})
    record_everything(recorder)
    assert recorder.lines()
    assert recorder.lines() == lines_of_a_real_client(tmp_path)


def test_it_is_a_client(recorder):
    assert isinstance(recorder, Client)


def test_it_has_no_thread_and_no_socket():
    before = threads_and_files()
    with RecordingClient() as recorder:
        record_everything(recorder)
        recorder.lines()
        assert new_since(before) == []


def test_every_value_of_a_long_test_is_recorded(recorder):
    render = recorder.timer("render")
    jobs = recorder.counter("jobs")
    for number in range(50_000):
        render.record(number)
        jobs.inc()
    recorder.assert_timing("render", count=50_000)
    recorder.assert_incr("jobs", 50_000)
    assert recorder.stats()["dropped"] == {}


def test_values_of_many_threads_are_recorded(recorder):
    def work():
        for _ in range(1000):
            recorder.incr("jobs")
            recorder.timing("render", 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        recorder.lines()
        thread.join()
    recorder.assert_incr("jobs", 8000)
    recorder.assert_timing("render", count=8000)


def test_sampled_calls_add_up_to_about_all_of_them(recorder):
    random.seed(4)
    for _ in range(5000):
        recorder.incr("jobs", rate=0.2)
    recorder.assert_incr("jobs", approx(5000, rel=0.1))


def test_the_environment_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("STATSD_PREFIX", "live")
    monkeypatch.setenv("VITALD_URL", "nonsense")
    with RecordingClient() as recorder:
        recorder.incr("jobs")
        assert recorder.lines() == ["jobs:1|c"]
        assert recorder.stats()["faults"] == []


def test_the_arguments_of_a_client_are_taken(tmp_path):
    assert RecordingClient("unixgram:///run/s.sock").stats()["target"] == "unixgram:///run/s.sock"
    assert RecordingClient(host="::1", port=99).stats()["target"] == "udp://[::1]:99"
    with pytest.raises(ValueError, match="cannot use target"):
        RecordingClient("nonsense")


def test_what_was_recorded_can_be_asked_after_close():
    with RecordingClient() as recorder:
        recorder.incr("jobs")
    recorder.assert_incr("jobs")


def test_a_child_of_a_fork_records_for_itself(recorder):
    recorder.incr("jobs")
    child = os.fork()
    if child == 0:
        recorder.incr("tasks", 2)
        os._exit(0 if recorder.lines() == ["tasks:2|c"] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert recorder.lines() == ["jobs:1|c"]


# The record.


def test_lines_come_in_the_order_in_which_they_were_flushed(recorder):
    recorder.incr("b")
    assert recorder.lines() == ["b:1|c"]
    recorder.incr("a")
    assert recorder.lines() == ["b:1|c", "a:1|c"]


def test_records_can_be_chosen_by_name_glob_type_and_tags(recorder):
    recorder.incr("jobs.done", tags={"queue": "mail"})
    recorder.incr("jobs.done", tags={"queue": "sms"})
    recorder.gauge("jobs.waiting", 3)
    assert len(recorder.records()) == 3
    assert [one.value for one in recorder.records("jobs.waiting")] == [3]
    assert len(recorder.records("jobs.*")) == 3
    assert len(recorder.records("jobs.*", type="counter")) == 2
    assert [one.tags for one in recorder.records(tags={"queue": "sms"})] == [{"queue": "sms"}]


def test_looking_at_it_flushes_nothing(recorder):
    recorder.incr("jobs")
    assert repr(recorder) == "<RecordingClient with 0 lines>"
    recorder.incr("jobs")
    assert recorder.lines() == ["jobs:2|c"]
    assert repr(recorder) == "<RecordingClient with 1 lines>"


def test_clear_forgets_what_was_recorded_and_what_waits(recorder):
    recorder.incr("jobs")
    recorder.lines()
    recorder.incr("jobs")
    recorder.clear()
    recorder.assert_not_recorded()
    recorder.incr("jobs")
    recorder.assert_incr("jobs", 1)


# Assertions: each holds, and each fails.


def fails(assertion, *arguments, **options):
    with pytest.raises(AssertionError) as caught:
        assertion(*arguments, **options)
    return str(caught.value)


def test_assert_incr_is_about_the_sum_of_all_increments(recorder):
    jobs = recorder.counter("jobs", queue="mail")
    jobs.inc()
    jobs.inc(3)
    jobs.dec()
    recorder.incr("jobs", 10, tags={"queue": "sms"})
    recorder.assert_incr("jobs", 3, tags={"queue": "mail"})
    recorder.assert_incr("jobs", 13)
    recorder.assert_incr("jobs", ANY)
    recorder.assert_incr("jobs", approx(13.05, abs=0.1))
    fails(recorder.assert_incr, "jobs")
    fails(recorder.assert_incr, "jobs", 4, tags={"queue": "mail"})
    fails(recorder.assert_incr, "nothing", ANY)
    fails(recorder.assert_incr, "nothing", mock.ANY)


def test_assert_incr_expects_one_like_incr(recorder):
    recorder.incr("jobs")
    recorder.assert_incr("jobs")


def test_none_at_all_may_be_expected_by_number(recorder):
    recorder.assert_incr("jobs", 0)
    recorder.assert_timing("render", count=0)
    recorder.assert_set("users", "alice", count=0)
    recorder.incr("jobs")
    recorder.timing("render", 5)
    recorder.assert_timing("render", 6, count=0)
    fails(recorder.assert_incr, "jobs", 0)
    fails(recorder.assert_timing, "render", count=0)
    fails(recorder.assert_timing, "nothing", count=ANY)


def test_assert_gauge_is_about_where_it_is_now(recorder):
    depth = recorder.gauge("depth")
    depth.set(5)
    recorder.lines()
    depth.inc(2)
    recorder.assert_gauge("depth", 7)
    recorder.assert_gauge("depth")
    fails(recorder.assert_gauge, "depth", 5)
    recorder.gauge("level", -3)
    recorder.assert_gauge("level", -3)
    fails(recorder.assert_gauge, "nothing")


def test_assert_timing_is_about_one_sample_or_a_number_of_them(recorder):
    for value in (12.5, 12.5, timedelta(seconds=2)):
        recorder.timing("render", value)
    recorder.assert_timing("render")
    recorder.assert_timing("render", 12.5)
    recorder.assert_timing("render", ms=12.5)
    recorder.assert_timing("render", timedelta(seconds=2))
    recorder.assert_timing("render", 12.5, count=2)
    recorder.assert_timing("render", count=3)
    recorder.assert_timing("render", approx(2000, abs=1), count=1)
    fails(recorder.assert_timing, "render", 13)
    fails(recorder.assert_timing, "render", count=2)
    fails(recorder.assert_timing, "render", 12.5, count=1)
    fails(recorder.assert_timing, "nothing")


@pytest.mark.parametrize("verb", ["histogram", "distribution"])
def test_samples_of_any_unit_are_asserted_by_their_own_type(recorder, verb):
    getattr(recorder, verb)("size", 3, tags={"unit": "mb"})
    check = getattr(recorder, f"assert_{verb}")
    other = {"histogram": "distribution", "distribution": "histogram"}[verb]
    check("size", 3, tags={"unit": "mb"})
    check("size", count=1)
    fails(check, "size", 4)
    fails(getattr(recorder, f"assert_{other}"), "size", 3)


def test_assert_set_is_about_distinct_members(recorder):
    for member in ("alice", "bob", "bob", 5):
        recorder.set("users", member)
    recorder.assert_set("users", "alice")
    recorder.assert_set("users", 5)
    recorder.assert_set("users", "bob", count=1)
    recorder.assert_set("users", count=3)
    fails(recorder.assert_set, "users", "carol")
    fails(recorder.assert_set, "users", count=4)


def test_assert_event_compares_what_it_is_given(recorder):
    recorder.event("deploy", "v2\nis out", alert_type="success", tags={"env": "live"})
    recorder.assert_event("deploy")
    recorder.assert_event("deploy", "v2\nis out", alert_type="success", tags={"env": "live"})
    fails(recorder.assert_event, "deploy", "v3")
    fails(recorder.assert_event, "deploy", alert_type="error")
    fails(recorder.assert_event, "deploy", tags={"env": "test"})
    with pytest.raises(TypeError, match="cannot compare 'colour': it is none of title, text"):
        recorder.assert_event("deploy", colour="red")


def test_assert_service_check_compares_what_it_is_given(recorder):
    recorder.service_check("db", 2, message="no answer")
    recorder.assert_service_check("db", 2)
    recorder.assert_service_check("db", message="no answer")
    recorder.assert_service_check("db", "critical")
    recorder.assert_service_check("db", ANY)
    fails(recorder.assert_service_check, "db", "healthy")
    with pytest.raises(ValueError, match="cannot look for status 'down': it is none of healthy, "):
        recorder.assert_service_check("db", "down")
    fails(recorder.assert_service_check, "db", 0)
    fails(recorder.assert_service_check, "db", 2, message="slow")
    with pytest.raises(TypeError, match="cannot compare 'text'"):
        recorder.assert_service_check("db", text="x")


def test_assert_not_recorded_fails_for_whatever_is_there(recorder):
    recorder.incr("jobs.failed", tags={"queue": "mail"})
    recorder.assert_not_recorded("jobs")
    recorder.assert_not_recorded("jobs.failed", type="gauge")
    recorder.assert_not_recorded(tags={"queue": "sms"})
    fails(recorder.assert_not_recorded, "jobs.failed")
    fails(recorder.assert_not_recorded, "jobs.*")
    fails(recorder.assert_not_recorded)
    with pytest.raises(ValueError, match="cannot look for type 'count': it is none of counter, "):
        recorder.assert_not_recorded("jobs.failed", type="count")


def test_an_exact_stream_is_recorded_call_by_call_in_order():
    with RecordingClient(aggregate=False) as recorder:
        recorder.incr("jobs")
        recorder.gauge("depth", 5)
        recorder.incr("jobs", 2)
        recorder.gauge("depth", 1, delta=True)
        assert recorder.lines() == ["jobs:1|c", "depth:5|g", "jobs:2|c", "depth:+1|g"]
        recorder.assert_incr("jobs", 3)
        recorder.assert_gauge("depth", 6)


def test_every_call_of_a_long_exact_stream_is_recorded():
    with RecordingClient(aggregate=False) as recorder:
        for _ in range(100_000):
            recorder.incr("jobs")
        recorder.assert_incr("jobs", 100_000)
        assert len(recorder.lines()) == 100_000


def test_a_value_of_a_given_time_is_recorded_with_it(recorder):
    recorder.incr("jobs", 3, timestamp=1_700_000_000)
    recorder.assert_incr("jobs", 3)
    assert recorder.records("jobs")[0].timestamp == 1_700_000_000


def test_a_client_says_nothing_of_itself_unless_it_is_asked_to():
    with RecordingClient(accounting=True) as recorder:
        recorder.incr("jobs")
        recorder.assert_incr("vitald.client.received", 1)
    with RecordingClient() as recorder:
        recorder.incr("jobs")
        assert recorder.lines() == ["jobs:1|c"]


def test_constant_tags_and_prefix_are_asserted_as_they_are_sent():
    with RecordingClient(prefix="app", tags={"env": "test"}) as recorder:
        recorder.incr("jobs", tags={"queue": "mail"})
        recorder.assert_incr("app.jobs", tags={"queue": "mail"})
        recorder.assert_incr("app.jobs", tags=only({"queue": "mail", "env": "test"}))
        fails(recorder.assert_incr, "app.jobs", tags=only({"queue": "mail"}))
        recorder.assert_not_recorded("jobs")


def test_blocks_and_decorators_are_recorded(recorder):
    @recorder.timer("fetch")
    async def fetch():
        return 7

    with recorder.timer("render", page="home"):
        assert asyncio.run(fetch()) == 7
    recorder.assert_timing("render", tags={"page": "home"})
    recorder.assert_timing("fetch", count=1)
