"""Exceptions that signal handlers raise in the midst of recording: a soft time limit, Ctrl-C."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time


class TimeUpError(BaseException):
    pass


def test_an_exception_at_any_moment_of_recording_loses_nothing_and_blocks_nothing(make_client, udp):
    client = make_client(udp.url, flush_interval=0.01)
    jobs, depth, users = client.counter("jobs"), client.gauge("depth"), client.set("users")
    record = client.timer("render").record
    counted = 0

    def time_up(*_):
        raise TimeUpError

    old = signal.signal(signal.SIGALRM, time_up)
    try:
        for number in range(200):
            with contextlib.suppress(TimeUpError):
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + number % 7 * 0.0003)
                for step in itertools.count():
                    jobs.inc()
                    counted += 1
                    depth.set(step)
                    users.add(step % 10)
                    record(1)
            time.sleep(0.002)  # the flusher's turn
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert client.flush(10)
    totals = udp.totals()
    # Between a call and its count an exception may come, once each time.
    assert 0 <= totals.counters["jobs"] - counted <= 200
    stats = client.stats()
    assert (stats["waiting"], stats["dropped"]) == (0, {})


class SoftTimeLimitError(Exception):
    pass


def test_an_exception_that_comes_while_a_verb_relieves_its_series_passes_and_records_once(
    make_client, udp, monkeypatch
):
    client = make_client(udp.url)
    client.incr("jobs")
    series = client.counter("jobs")._series

    def interrupted(_):
        raise SoftTimeLimitError

    series.limit = 0
    monkeypatch.setattr(type(series), "relieve", interrupted)
    with contextlib.suppress(SoftTimeLimitError):
        client.incr("jobs")
    assert series.buffer == [1, 1]
