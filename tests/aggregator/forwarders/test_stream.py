from __future__ import annotations

import asyncio
import contextlib
import re
import socket

import pytest

from vitald.aggregator.forwarders.endpoint import Endpoint
from vitald.aggregator.forwarders.stream import deliver
from vitald.errors import ForwardError


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


@contextlib.asynccontextmanager
async def server(handle):
    """Run a TCP server; yield its endpoint."""
    served = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield Endpoint("tcp", "127.0.0.1", served.sockets[0].getsockname()[1], "")
    finally:
        served.close()


async def test_it_returns_only_when_the_server_has_read_the_end():
    got = []
    gate = asyncio.Event()

    async def handle(reader, writer):
        await gate.wait()
        got.append(await reader.read(-1))
        writer.close()

    async with server(handle) as endpoint:
        delivery = asyncio.ensure_future(deliver(endpoint, pieces(b"one\n", b"two\n")))
        done, _ = await asyncio.wait({delivery}, timeout=0.2)
        assert not done
        gate.set()
        await delivery
    assert got == [b"one\ntwo\n"]


async def test_large_chunks_wait_for_a_slow_reader():
    chunk = b"x" * 300_000
    got = bytearray()

    async def handle(reader, writer):
        while data := await reader.read(50_000):
            got.extend(data)
            await asyncio.sleep(0)
        writer.close()

    async with server(handle) as endpoint:
        await deliver(endpoint, pieces(*[chunk] * 10))
    assert len(got) == 3_000_000


async def test_a_server_that_closes_without_reading_is_a_failure():
    async def handle(_reader, writer):
        writer.close()

    async with server(handle) as endpoint:
        for _ in range(20):
            with pytest.raises(ForwardError, match="cannot send to tcp://"):
                await deliver(endpoint, pieces(b"one\n"))


@pytest.mark.parametrize("after", [[], [b"two\n"]], ids=["nothing", "data"])
async def test_a_server_that_closes_before_our_end_is_a_failure(after):
    """It read what there was, so that nothing resets the connection when our end comes."""
    closed = asyncio.Event()

    async def handle(reader, writer):
        await reader.readline()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def chunks():
        yield b"one\n"
        await closed.wait()
        for chunk in after:
            yield chunk

    async with server(handle) as endpoint:
        with pytest.raises(ForwardError, match="cannot send to tcp://"):
            await deliver(endpoint, chunks())


async def test_a_server_that_dies_in_the_middle_is_a_failure():
    async def handle(reader, writer):
        await reader.read(1000)
        writer.transport.abort()

    async with server(handle) as endpoint:
        with pytest.raises(ForwardError):
            await deliver(endpoint, pieces(*[b"x" * 100_000] * 50))


async def test_what_the_server_says_is_ignored():
    async def handle(reader, writer):
        writer.write(b"hello" * 1000)
        await reader.read(-1)
        writer.close()

    async with server(handle) as endpoint:
        await deliver(endpoint, pieces(b"one\n"))


async def test_a_refused_connection_names_the_target_and_the_cause():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    expected = f"cannot connect to tcp://127.0.0.1:{port}: connection refused"
    with pytest.raises(ForwardError, match=re.escape(expected)) as caught:
        await deliver(Endpoint("tcp", "127.0.0.1", port, ""), pieces(b"one\n"))
    assert caught.value.retryable
