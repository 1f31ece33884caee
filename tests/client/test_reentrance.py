"""Recording from where locks are held and from below our own code: logging, collectors, our log."""

from __future__ import annotations

import gc
import logging
import threading

import pytest


class Recording(logging.Handler):
    """A handler that records; `emit` runs with the handler's lock held."""

    def __init__(self, client, act):
        super().__init__()
        self.client, self.act, self.answers = client, act, []

    def emit(self, record):
        self.client.incr("records", tags={"level": record.levelname})
        self.client.timing("length", len(record.getMessage()))
        self.answers.append(self.act(self.client))


ACTS = {
    "records": lambda _: None,
    "flushes": lambda client: client.flush(5),
    "closes": lambda client: client.close(5),
}


@pytest.fixture
def attach():
    """Attach a handler to a logger for the test."""
    attached = []

    def attach(name, handler):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        attached.append((logger, handler))
        return logger

    yield attach
    for logger, handler in attached:
        logger.removeHandler(handler)


def test_a_logging_handler_may_record_from_many_threads(make_client, udp, attach):
    client = make_client(udp.url, flush_interval=0.01)
    logger = attach("test.service", Recording(client, ACTS["records"]))

    def work():
        for number in range(1000):
            logger.error("step %d", number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert client.flush(10)
    totals = udp.totals()
    assert totals.counters["records#level:ERROR"] == 8000
    assert len(totals.samples["length"]) == 8000


def test_a_logging_handler_may_flush(make_client, udp, attach):
    client = make_client(udp.url)
    handler = Recording(client, ACTS["flushes"])
    attach("test.service", handler).error("once")
    assert handler.answers == [True]
    assert udp.totals().counters["records#level:ERROR"] == 1


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_handler_of_our_own_warning_may_use_the_client(
    make_client, nobody, start_udp, attach, act
):
    """The warning comes on the flusher's thread, which cannot wait for itself."""
    client = make_client(nobody)
    handler = Recording(client, act)
    attach("vitald.client", handler)
    client.incr("jobs")
    client.flush(5)
    assert handler.answers in ([None], [False])
    if act is not ACTS["closes"]:
        receiver = start_udp(int(nobody.rpartition(":")[2]))
        assert client.flush(5)
        counters = receiver.totals().counters
        assert counters == {"jobs": 1, "records#level:WARNING": 1}
    else:
        assert sum(client.stats()["dropped"].values()) == 3


def test_a_handler_that_fails_at_our_warning_costs_nothing(
    make_client, nobody, start_udp, attach, monkeypatch
):
    def fail(_):
        raise ValueError("a handler of the program")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    client = make_client(nobody)
    attach("vitald.client", Recording(client, fail))
    client.incr("jobs")
    assert not client.flush(5)
    receiver = start_udp(int(nobody.rpartition(":")[2]))
    assert client.flush(5)
    assert receiver.totals().counters["jobs"] == 1


def test_a_collection_amid_recording_may_record(make_client, udp):
    """With a collection at nearly every allocation, on the flusher's thread, too."""
    client = make_client(udp.url, flush_interval=0.01)
    collected = []

    def callback(phase, _):
        collected.append(phase)
        client.incr("collected")
        client.timing("pause", 1)
        client.incr("phases", tags={"phase": phase})

    threshold = gc.get_threshold()
    gc.callbacks.append(callback)
    gc.set_threshold(7, 2, 1000)
    try:
        for number in range(20_000):
            client.timing("render", number)
            if number % 100 == 0:
                client.event(f"event {number}")
                gc.collect(0)  # without a GIL the thresholds alone bring none about
    finally:
        gc.callbacks.remove(callback)
        gc.set_threshold(*threshold)
    assert client.flush(20)
    totals = udp.totals()
    assert totals.counters["collected"] == len(collected) > 0
    assert len(totals.samples["pause"]) == len(collected)
    assert totals.values("render") == list(range(20_000))
    assert len(totals.texts) == 200


def test_what_is_destroyed_when_its_buffer_is_drained_may_record(make_client, udp):
    """A recorded value's last reference is the buffer: `__del__` runs under the series' lock."""

    class Value(int):
        def __del__(self):
            client.incr("destroyed")
            client.timing("render", 1)

    client = make_client(udp.url)
    for _ in range(10_000):
        client.incr("jobs", Value(1))
    assert client.flush(10)
    assert client.flush(10)
    totals = udp.totals()
    assert totals.counters == {"jobs": 10_000, "destroyed": 10_000}
    assert len(totals.samples["render"]) == 10_000
