from __future__ import annotations

import os
import threading

import pytest

from vitald.testing.pump import Pump


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_reader_is_called_while_there_is_something_to_be_read(pipe):
    reading, writing = pipe
    called = threading.Event()
    pump = Pump()
    pump.add_reader(reading, lambda: (os.read(reading, 1), called.set()))
    for _ in range(2):
        called.clear()
        os.write(writing, b"x")
        assert called.wait(10)
    pump.close()


def test_readers_run_with_the_lock_held(pipe):
    reading, writing = pipe
    called = threading.Event()
    pump = Pump()
    pump.add_reader(reading, lambda: (os.read(reading, 1), called.set()))
    with pump.lock:
        os.write(writing, b"x")
        assert not called.wait(0.05)
    assert called.wait(10)
    pump.close()


def test_a_removed_reader_is_not_called_even_if_it_was_ready(pipe):
    reading, writing = pipe
    calls = []
    pump = Pump()
    pump.add_reader(reading, lambda: calls.append(os.read(reading, 1)))
    with pump.lock:
        os.write(writing, b"x")
        pump.remove_reader(reading)
    pump.close()
    assert calls == []


def test_without_a_reader_there_is_no_thread_and_with_one_it_ends(pipe):
    threads = threading.active_count()
    pump = Pump()
    assert threading.active_count() == threads
    pump.add_reader(pipe[0], lambda: None)
    assert threading.active_count() == threads + 1
    pump.close()
    assert threading.active_count() == threads
