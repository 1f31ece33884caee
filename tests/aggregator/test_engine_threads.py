"""An engine that is safe for threads: many of them at once, and none that stays behind."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from engines import ENGINES, NO_NATIVE, assert_balanced, at, rows_of

from vitald.aggregator.selector import Selector

if "native" not in ENGINES:
    pytest.skip(NO_NATIVE, allow_module_level=True)

ROUNDS = 600
DATAGRAM = b"\n".join(b"n%d:1|c\nt:%d|ms\ns:%d|s" % (number, number, number) for number in range(9))
OWN = b"n0:1|c\nn1:1|c\nown:1|g"


@pytest.fixture
def engine():
    return ENGINES["native"](at(0))


def threads_of_this_process():
    return len(list(Path("/proc/self/task").iterdir()))


async def test_an_engine_that_is_dropped_ends_its_threads(udp, unixgram, until):
    before = threads_of_this_process()
    engines = [ENGINES["native"](at(0))]
    for end in (udp(), unixgram()):
        engines[0].attach(end.bound, "label")
        end.send(b"a:1|c")
    await until(lambda: engines[0].ledger().lines == 2)
    assert threads_of_this_process() > before
    engines.clear()
    gc.collect()
    await until(lambda: threads_of_this_process() <= before)


async def test_a_detached_socket_leaves_no_thread(engine, udp, until):
    before = threads_of_this_process()
    for _ in range(20):
        end = udp()
        engine.attach(end.bound, "label")
        end.send(b"a:1|c")
        engine.detach(end.bound)
        end.close()
    assert engine.ledger().lines == 20
    await until(lambda: threads_of_this_process() <= before)


class Storm:
    """Threads that send and ingest a set number of times, while others seal and ask."""

    def __init__(self, engine):
        self.engine = engine
        self.sealed = Counter()
        self.failures = []
        self._ticks = count(1)
        self._sealing = threading.Lock()
        self._adding = threading.Lock()
        self._over = threading.Event()
        self._busy = []
        self._idle = []

    def send(self, end):
        self._start(self._busy, lambda: end.send(*[DATAGRAM] * ROUNDS))

    def ingest(self):
        self._start(self._busy, lambda: [self.engine.ingest(OWN, label="o") for _ in range(ROUNDS)])

    def until_over(self, do):
        def repeat():
            while not self._over.is_set():
                do()

        self._start(self._idle, repeat)

    def seal(self):
        with self._sealing:  # time does not go back
            interval = self.engine.rotate(at(10 * next(self._ticks)))
        with self._adding:
            for (kind, _, _), row in rows_of(interval).items():
                self.sealed[kind] += row.count

    def question(self):
        rows_of(self.engine.query(Selector(names=["n*", "t"]), 3600))
        assert_balanced(self.engine.ledger())

    async def blow_over(self, until, expected):
        try:
            for thread in self._busy:
                thread.join()
            await until(lambda: self.failures or arrived(self.engine) == expected)
        finally:
            self._over.set()
            for thread in self._idle:
                thread.join()
        assert self.failures == []
        self.seal()

    def _start(self, threads, target):
        threads.append(threading.Thread(target=self._watched, args=(target,)))
        threads[-1].start()

    def _watched(self, target):
        try:
            target()
        except BaseException as error:
            self.failures.append(error)


def arrived(engine):
    ledger = engine.ledger()
    return ledger.datagrams_received + ledger.kernel_dropped


async def test_lines_are_conserved_while_many_threads_send_seal_and_ask(
    engine, udp, unixgram, until
):
    storm = Storm(engine)
    ends = [udp(receive_buffer=1_000_000), udp(receive_buffer=1_000_000), unixgram()]
    for end in ends:
        engine.attach(end.bound, "label")
        storm.send(end)
    for do in (storm.seal, storm.seal, storm.question):
        storm.until_over(do)
    for _ in range(2):
        storm.ingest()
    await storm.blow_over(until, 5 * ROUNDS)
    ledger = engine.ledger()
    received = ledger.listeners["label"]["datagrams"]
    assert received + ledger.kernel_dropped == 3 * ROUNDS
    assert storm.sealed == {
        "counter": 9 * received + 2 * 2 * ROUNDS,
        "timer": 9 * received,
        "set": 9 * received,
        "gauge": 2 * ROUNDS,
    }
    assert ledger.aggregated == sum(storm.sealed.values())
    for end in ends:
        engine.detach(end.bound)


async def test_sockets_come_and_go_while_others_receive_and_intervals_are_sealed(
    engine, udp, until
):
    storm = Storm(engine)
    steady = udp(receive_buffer=1_000_000)
    engine.attach(steady.bound, "label")
    storm.send(steady)
    storm.until_over(storm.seal)
    storm.until_over(storm.question)
    for _ in range(50):
        end = udp()
        engine.attach(end.bound, "label")
        end.send(DATAGRAM)
        engine.detach(end.bound)
        end.close()
    await storm.blow_over(until, ROUNDS + 50)
    received = engine.ledger().datagrams_received
    assert storm.sealed == dict.fromkeys(("counter", "timer", "set"), 9 * received)
