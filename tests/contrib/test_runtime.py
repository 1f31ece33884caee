from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from inbox import open_inbox

from vitald.contrib import runtime
from vitald.contrib.runtime import watch_runtime

LAG = "asyncio_loop_lag_seconds"


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def watch(inbox):
    """Begin watches; end them after the test."""
    watches = []

    def begin(loop=None, **options):
        watches.append(watch_runtime(inbox.client, loop, **options))
        return watches[-1]

    yield begin
    for one in watches:
        one.stop()


async def turns_of_the_loop(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_a_blocked_loop_shows_as_lag(inbox, watch):
    watch(lag_interval=0.01)
    await asyncio.sleep(0.02)
    time.sleep(0.2)  # noqa: ASYNC251  this is what is measured
    await turns_of_the_loop(lambda: max(inbox.read().samples[LAG], default=0) > 0.1)
    assert all(0 <= lag < 10 for lag in inbox.samples[LAG])


async def test_the_chain_ends_with_stop_and_leaves_no_timer(inbox, watch):
    one = watch(lag_interval=0.001)
    await turns_of_the_loop(lambda: inbox.read().samples[LAG])
    one.stop()
    await asyncio.sleep(0)
    seen = len(inbox.read().samples[LAG])
    await asyncio.sleep(0.02)
    assert len(inbox.read().samples[LAG]) == seen
    assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


async def test_a_stop_before_the_first_turn_of_the_loop_arms_nothing(inbox, watch):
    watch(lag_interval=0.001).stop()
    await asyncio.sleep(0.02)
    assert inbox.read().samples[LAG] == []


def test_a_loop_of_another_thread_can_be_given(inbox, watch):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    one = watch(loop, lag_interval=0.001)
    inbox.wait_for(lambda inbox: inbox.read().samples[LAG])
    one.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    one.stop()


def test_a_loop_that_ends_with_the_watch_on_is_no_trouble(inbox, watch):
    async def serve():
        one = watch(lag_interval=0.001)
        await asyncio.sleep(0.01)
        return one

    asyncio.run(serve()).stop()
    assert inbox.read().samples[LAG]


def test_without_a_loop_there_is_no_lag(inbox, watch):
    watch()
    assert LAG not in inbox.read().samples


def test_collections_are_counted_and_timed_by_generation(inbox, watch):
    gc.disable()
    try:
        watch()
        gc.collect(0)
        gc.collect(2)
        gc.collect(2)
    finally:
        gc.enable()
    counters = inbox.read().counters
    assert counters["python_gc_collections_total#generation:0"] == 1
    assert counters["python_gc_collections_total#generation:2"] == 2
    pauses = inbox.samples["python_gc_pause_seconds#generation:2"]
    assert len(pauses) == 2
    assert all(0 < pause < 10 for pause in pauses)


def test_the_collector_is_left_as_it_was(watch):
    before = gc.callbacks[:]
    one = watch()
    assert len(gc.callbacks) == len(before) + 1
    one.stop()
    one.stop()
    assert gc.callbacks == before


def test_threads_and_the_process_are_seen_at_once(inbox, watch):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    watch()
    inbox.wait_for(lambda inbox: "python_threads" in inbox.read().gauges)
    stop.set()
    thread.join()
    assert inbox.gauges["python_threads"] >= 3  # this one, the waiting one, and the watch's


def test_the_process_is_described_as_linux_counts_it(inbox):
    levels = runtime.Levels(inbox.client, 3600)
    try:
        levels.sample()
        inbox.read()  # the client's own socket is open from here on
        null = Path(os.devnull)
        with null.open(), null.open():
            levels.sample()
            many = inbox.read().gauges["process_open_fds"]
        levels.sample()
        assert inbox.read().gauges["process_open_fds"] == many - 2
    finally:
        levels.stop()
    assert 1 << 20 < inbox.gauges["process_resident_memory_bytes"] < 1 << 40


def test_processor_time_is_counted_once(inbox):
    levels = runtime.Levels(inbox.client, 3600)
    try:
        start = time.process_time()
        while time.process_time() < start + 0.05:
            pass
        levels.sample()
        levels.sample()
    finally:
        levels.stop()
    assert 0.05 <= inbox.read().counters["process_cpu_seconds_total"] < 10


def test_the_thread_ends_with_stop(watch):
    one = watch()
    assert "vitald-runtime" in [thread.name for thread in threading.enumerate()]
    one.stop()
    assert "vitald-runtime" not in [thread.name for thread in threading.enumerate()]


def run_service(inbox, source):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        check=True,
        env={**os.environ, "VITALD_URL": inbox.url},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_process_that_never_stops_the_watch_ends_silently(inbox):
    done = run_service(
        inbox,
        """
        import asyncio, gc
        from vitald.contrib.runtime import watch_runtime

        async def serve():
            watch_runtime(lag_interval=0.001)
            await asyncio.sleep(0.02)
            gc.collect()

        asyncio.run(serve())
        """,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert inbox.read().counters["python_gc_collections_total#generation:2"] >= 1
    assert inbox.samples[LAG]
    assert inbox.gauges["python_threads"] >= 2


def test_a_forked_child_is_watched_too(inbox):
    run_service(
        inbox,
        """
        import os, sys, warnings
        from vitald import Client
        from vitald.contrib.runtime import watch_runtime

        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads, Python 3.12
        client = Client(flush_interval=3600)
        watch = watch_runtime(client)
        if os.fork() == 0:
            client.incr("children")
            watch.stop()  # its thread has sampled once by then
            sys.exit(0)
        client.close()
        assert os.wait()[1] == 0
        os._exit(0)
        """,
    )
    counters = inbox.read().counters
    assert counters["children"] == 1
    assert counters["process_cpu_seconds_total"] > 0


def test_watching_imports_no_asyncio(inbox):
    done = run_service(
        inbox,
        """
        import sys
        from vitald.contrib.runtime import watch_runtime
        watch_runtime().stop()
        print("asyncio" in sys.modules)
        """,
    )
    assert done.stdout == "False\n"
