"""How long single calls take at worst: `python -m benchmarks.client.tails PORT --rounds 3`.

Every call is timed by itself. With the GIL, whoever calls may have to wait for all other threads
of the process; "a spin as long" is a loop of pure Python, which touches nothing, of the length of
the call above it: what that waits is the interpreter's own doing.
"""

from __future__ import annotations

import argparse
import gc
import json
import timeit
from array import array
from collections import Counter
from threading import Barrier, Thread
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.client import clients
from benchmarks.client.clients import CLIENTS, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.client.clients import Client

SHARES = (0.5, 0.99, 0.999, 0.9999)
# Calls between two pauses of a thread; of one that is to make pauses.
BURST = 20
PAUSE = 0.0005


class Load(NamedTuple):
    """Who calls: threads that pause after every `BURST` calls, or never; in full, for `seconds`.

    Spinning threads take turns of 5 ms, and eight of them have to have several turns.
    """

    title: str
    threads: int
    pause: float
    seconds: float


LOADS = (
    Load("1 thread, no pauses", 1, 0.0, 0.07),
    Load("8 threads, paced", 8, PAUSE, 0.14),
    Load("8 threads, no pauses", 8, 0.0, 0.14),
)

SPIN = "a spin as long"
NOTHING = "nothing"
CALLS = (
    clients.STATSD_INCR,
    clients.INC,
    clients.INCR,
    clients.INCR_TAGS,
    clients.GAUGE,
    clients.SET,
    clients.TIMING,
    clients.TIMER_HANDLE,
    clients.TIMER,
    clients.TASK,
)
# A spin stands below these; the others are too short for one: `nothing` is theirs.
SPUN = (clients.INCR_TAGS, clients.SET, clients.TIMER_HANDLE, clients.TIMER, clients.TASK)

# By load, by row: for each round the microseconds at each of `SHARES`.
Tails = dict[str, dict[str, list[list[float]]]]

_WORK = """
def work(times, seconds):
    append = times.append
    deadline = clock() + seconds * 1e9
    while clock() < deadline:
        for _ in range({burst}):
            start = clock()
            {statement}
            append(clock() - start)
        if {pause}:
            sleep({pause})
"""


def titles() -> list[str]:
    """Return the rows in their order."""
    rows = [NOTHING]
    for call in CALLS:
        rows.append(call.title)
        if call in SPUN:
            rows.append(spin_title(call))
    return rows


def spin_title(call: Call) -> str:
    """Return what the spin below a call is called."""
    return f"{SPIN} as {call.statement.removesuffix(' pass')}"


def worker(
    statement: str, names: Mapping[str, Any], load: Load
) -> Callable[[array[int], float], None]:
    """Compile a loop that times the statement by itself; it is in the loop, not called from it."""
    scope: dict[str, Any] = {"clock": perf_counter_ns, "sleep": sleep, **names}
    exec(_WORK.format(statement=statement, burst=BURST, pause=load.pause), scope)
    made: Callable[[array[int], float], None] = scope["work"]
    return made


def time_calls(
    work: Callable[[array[int], float], None], threads: int, seconds: float
) -> Counter[int]:
    """Return how many calls took how many nanoseconds, those of all threads."""
    times = [array("q") for _ in range(threads)]
    if threads == 1:
        work(times[0], seconds)
    else:
        barrier = Barrier(threads)

        def wait_and_work(own: array[int]) -> None:
            barrier.wait()
            work(own, seconds)

        started = [Thread(target=wait_and_work, args=(own,)) for own in times]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
    tally: Counter[int] = Counter()
    for own in times:
        tally.update(own)
    return tally


def quantiles(tally: Mapping[int, int], shares: Iterable[float]) -> list[int]:
    """Return, for ascending shares, the lowest value that is not below that share of all."""
    wanted = list(shares)
    total = sum(tally.values())
    found: list[int] = []
    passed = 0
    for value, number in sorted(tally.items()):
        passed += number
        while len(found) < len(wanted) and passed >= wanted[len(found)] * total:
            found.append(value)
    return found


def spin_as_long(nanoseconds: float) -> str:
    """Return a loop that takes about so long."""

    def cost(turns: int) -> float:
        loop = timeit.Timer(f"for _ in range({turns}): pass")
        return min(loop.repeat(5, 200)) / 200 * 1e9

    least = cost(0)
    # No more turns than there are ints that the interpreter keeps ready.
    turn = max((cost(250) - least) / 250, 0.1)
    return f"for _ in range({max(0, round((nanoseconds - least) / turn))}): pass"


def _alone(call: Call, client: Client) -> float:
    """Return the nanoseconds of a call while nothing else runs, in bursts that are sent between."""
    timer = timeit.Timer(call.statement, globals=client.names)
    costs = []
    for _ in range(7):
        client.settle()
        costs.append(timer.timeit(1000) / 1000 * 1e9)
    return min(costs)


def _statements(port: int) -> dict[str, Call]:
    """Return what is timed, by row."""
    rows = {NOTHING: Call("", "pass")}
    for call in CALLS:
        rows[call.title] = call
        if call in SPUN:
            client = CLIENTS[call.client](port)
            rows[spin_title(call)] = Call("", spin_as_long(_alone(call, client)))
            client.close()
    return rows


def measure(port: int, rounds: int, share: float) -> Tails:
    """Measure all rows under each load, in turn."""
    rows = _statements(port)
    tails: Tails = {load.title: {title: [] for title in rows} for load in LOADS}
    for _ in range(rounds):
        for load in LOADS:
            for title, call in rows.items():
                tally = _tally(call, port, load, share)
                found = [value / 1e3 for value in quantiles(tally, SHARES)]
                tails[load.title][title].append(found)
    return tails


def _tally(call: Call, port: int, load: Load, share: float) -> Counter[int]:
    """Time the calls of a client of their own: what others have left to be sent is not theirs."""
    client = CLIENTS[call.client](port) if call.client else clients.Client({})
    # Its thread and its series are there from the first call on.
    exec(call.statement, dict(client.names))
    client.settle()
    gc.collect()
    work = worker(call.statement, client.names, load)
    tally = time_calls(work, load.threads, load.seconds * share)
    client.close()
    return tally


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual time")
    options = parser.parse_args()
    print(json.dumps(measure(options.port, options.rounds, options.share)))


if __name__ == "__main__":
    main()
