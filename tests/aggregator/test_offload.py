from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from vitald.aggregator.offload import Offloaded


class Gate:
    """A blocking call that returns how often it was called, once it is let go."""

    def __init__(self):
        self.calls = 0
        self.open = threading.Event()

    def __call__(self):
        self.calls += 1
        assert self.open.wait(30)
        return self.calls


async def test_callers_share_one_run(clock):
    gate = Gate()
    shared = Offloaded(gate, clock)
    both = asyncio.gather(shared.get(), shared.get())
    await asyncio.sleep(0)
    gate.open.set()
    assert await both == [1, 1]


async def test_a_fresh_result_is_handed_out_again_and_an_old_one_is_not(clock):
    gate = Gate()
    gate.open.set()
    shared = Offloaded(gate, clock, fresh=1.0)
    assert await shared.get() == 1
    clock.advance(0.9)
    assert await shared.get() == 1
    clock.advance(0.2)
    assert await shared.get() == 2


async def test_a_call_that_hangs_costs_its_callers_the_timeout_and_one_thread(clock):
    gate = Gate()
    shared = Offloaded(gate, clock, timeout=0.01)
    for _ in range(3):
        with pytest.raises(asyncio.TimeoutError):
            await shared.get()
    assert gate.calls == 1
    gate.open.set()
    shared._timeout = 30.0
    assert await shared.get() == 1


async def test_an_error_is_the_callers_and_the_next_call_tries_again(clock):
    outcomes = [OSError("gone"), None]

    def call():
        error = outcomes.pop(0)
        if error is not None:
            raise error
        return "fine"

    shared = Offloaded(call, clock)
    with pytest.raises(OSError, match="gone"):
        await shared.get()
    assert await shared.get() == "fine"


def test_a_call_that_hangs_does_not_keep_the_process_from_ending():
    program = """
import asyncio, threading
from vitald.aggregator.offload import Offloaded
from vitald.clock import SystemClock

async def main():
    try:
        await Offloaded(threading.Event().wait, SystemClock(), timeout=0.01).get()
    except asyncio.TimeoutError:
        print("ended")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "ended\n"
