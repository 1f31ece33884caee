"""What many series cost an engine: one run in a process of its own, for topic `million`.

Each interval is filled, watched for a while, and sealed under watch by the sidecar's own flusher,
whose clock jumps to the boundary when it is told to.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import machine
from benchmarks.processes import ROOT
from benchmarks.sink import RECEIVE_BUFFER
from benchmarks.traffic import lines_of
from vitald.aggregator.engines import choose
from vitald.aggregator.flusher import Flusher
from vitald.aggregator.selector import Selector
from vitald.aggregator.sockets import Address, bind
from vitald.clock import Instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Literal

    from vitald.aggregator.engine import Engine
    from vitald.aggregator.interval import Interval

    Name = Literal["native", "python"]
    _Watch = Callable[[Engine, "Watched"], AbstractAsyncContextManager[None]]

INTERVAL = 10.0
WINDOW = 60.0
ASKED = 21
PACE = 100_000
QUIET_SECONDS = 0.3
_LINES_PER_DATAGRAM = 1000
_SHARES = {"c": 0.50, "g": 0.20, "ms": 0.25, "s": 0.05}
_BEAT = 0.001
_PACED = "paced"


class Watched:
    """The longest call of `ingest` or the longest delay of the loop in each round; seconds.

    One or the other: a thread that calls without a pause takes the interpreter's lock from the
    loop, and a sidecar has none such. `received` and `dropped` are datagrams of the paced load.
    """

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.delays: list[float] = []
        self.received = self.dropped = 0


class Cost(NamedTuple):
    """Seconds of each seal, what was seen during seals and between them, seconds of each answer."""

    seals: Sequence[float]
    sealing: Watched
    quiet: Watched
    name: Sequence[float]
    everything: Sequence[float]


def cores() -> tuple[Sequence[int], int]:
    """Return the cores of the engine's process, and the sender's."""
    chosen = machine.cores(receivers=3)
    return chosen.receivers, chosen.load[0]


def lines(series: int) -> list[bytes]:
    """Return one line for each series."""
    dice = random.Random(1)
    return [
        line
        for kind, share in _SHARES.items()
        for line in lines_of(kind, int(series * share), tagged=False, dice=dice)
    ]


def measure(name: Name, series: int, rounds: int) -> Cost:
    """Measure one engine; for a process of its own."""
    os.sched_setaffinity(0, cores()[0])
    gc.freeze()
    gc.set_threshold(10_000, 20, 500)
    return asyncio.run(_measure(name, lines(series), rounds))


async def _measure(name: Name, lines: Sequence[bytes], rounds: int) -> Cost:
    loop = asyncio.get_running_loop()
    engine = choose(name, {}).build(
        Instant(0.0, 0.0),
        interval=INTERVAL,
        series_limit=2 * len(lines) + 10_000,
        add_reader=loop.add_reader,
        remove_reader=loop.remove_reader,
    )
    with bind(Address("udp", "127.0.0.1", 0), receive_buffer=RECEIVE_BUFFER) as sock:
        engine.attach(sock, _PACED)
        with _paced_load(sock.getsockname()[1]):
            seals, sealing, quiet = await _rounds(engine, lines, rounds)
        engine.detach(sock)
    middle = lines[len(lines) // 4].partition(b":")[0].decode()
    return Cost(
        seals,
        sealing,
        quiet,
        name=[_ask(engine, middle) for _ in range(ASKED)],
        everything=[_ask(engine, "*") for _ in range(ASKED // 4)],
    )


async def _rounds(
    engine: Engine, lines: Sequence[bytes], rounds: int
) -> tuple[list[float], Watched, Watched]:
    datagrams = [
        b"\n".join(lines[at : at + _LINES_PER_DATAGRAM])
        for at in range(0, len(lines), _LINES_PER_DATAGRAM)
    ]
    sealer = _Sealer(engine)
    seals, sealing, quiet = [], Watched(), Watched()
    # Each half has a roll-up of every level.
    for watch in (_watch_calls, _watch_loop):
        for _ in range(rounds):
            for datagram in datagrams:
                engine.ingest(datagram, label="filled")
                await asyncio.sleep(0)
            async with _watch(engine, quiet, watch):
                await asyncio.sleep(QUIET_SECONDS)
            async with _watch(engine, sealing, watch):
                seals.append(await sealer.seal())
    await sealer.stop()
    return seals, sealing, quiet


class _Sealer:
    """The sidecar's flusher with a clock that stands still until `seal` is called."""

    def __init__(self, engine: Engine) -> None:
        self._now = 0.0
        self._asked, self._waits = asyncio.Event(), asyncio.Event()
        self._delivered = 0.0
        flusher = Flusher(
            engine, self._deliver, interval=INTERVAL, clock=self, sleep=self._until_asked
        )
        self._task = asyncio.create_task(flusher.run())

    async def seal(self) -> float:
        """Seal, wait until all is done that a tick does; return the seconds until delivery."""
        await self._waits.wait()
        self._waits.clear()
        began = time.perf_counter()
        self._asked.set()
        await self._waits.wait()
        return self._delivered - began

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    def now(self) -> Instant:
        return Instant(self._now, self._now)

    async def _until_asked(self, seconds: float) -> None:
        self._waits.set()
        await self._asked.wait()
        self._asked.clear()
        self._now += seconds

    def _deliver(self, _: Interval) -> None:
        self._delivered = time.perf_counter()


@asynccontextmanager
async def _watch(engine: Engine, watched: Watched, watch: _Watch) -> AsyncIterator[None]:
    """Watch one thing, and count the datagrams of the paced load."""
    received, dropped = _paced(engine)
    async with watch(engine, watched):
        yield
    now_received, now_dropped = _paced(engine)
    watched.received += now_received - received
    watched.dropped += now_dropped - dropped


@asynccontextmanager
async def _watch_loop(_: Engine, watched: Watched) -> AsyncIterator[None]:
    """Sleep in the loop again and again; note the longest delay."""
    delays = [0.0]
    beat = asyncio.create_task(_beat(delays))
    yield
    await asyncio.sleep(2 * _BEAT)  # a delay is known when it is over
    beat.cancel()
    watched.delays.append(max(delays))


def _paced(engine: Engine) -> tuple[int, int]:
    traffic = engine.ledger().listeners[_PACED]
    return traffic["datagrams"] or 0, traffic["kernel_dropped"] or 0


async def _beat(delays: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_BEAT)
        delays.append(time.perf_counter() - began - _BEAT)


@asynccontextmanager
async def _watch_calls(engine: Engine, watched: Watched) -> AsyncIterator[None]:
    """Call `ingest` from a thread without a pause; note the longest call."""
    if not engine.threadsafe:  # its pauses are those of the loop
        yield
        return
    stop = threading.Event()

    def call() -> None:
        longest = 0.0
        while not stop.is_set():
            began = time.perf_counter()
            engine.ingest(b"called:1|c", label="called")
            longest = max(longest, time.perf_counter() - began)
        watched.calls.append(longest)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _paced_load(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.loadgen", f"127.0.0.1:{port}"]
    command += ["--rate", str(PACE), "--cpus", str(cores()[1]), "--seconds", "3600"]
    with subprocess.Popen(command, cwd=ROOT) as sender:
        try:
            yield
        finally:
            sender.kill()


def _ask(engine: Engine, glob: str) -> float:
    """Return how long it takes until the last row is there, each batch dropped after the next."""
    began = time.perf_counter()
    for _ in engine.query(Selector(names=(glob,)), WINDOW).rows():
        pass
    return time.perf_counter() - began
