from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
from pydantic import SecretStr

from vitald.checks.http import HttpCheck
from vitald.checks.resolver import lookup
from vitald.checks.tcp import TcpCheck
from vitald.status import Status


@pytest.fixture
def silent_name_server(monkeypatch):
    """Let every lookup of a name hang, as it does while no name server answers."""
    released = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002
        if not flags & socket.AI_NUMERICHOST:
            released.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "no name server")
        return real(host, port, family, type, proto, flags)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    released.set()


async def test_a_name_is_looked_up_and_an_address_taken_as_it_is():
    assert "127.0.0.1" in {address[0] for *_, address in await lookup("localhost", 80)}
    found = await lookup("::1", 80)
    assert [address[:2] for *_, address in found] == [("::1", 80)]


@pytest.mark.parametrize("name", ["nowhere.invalid", "", "x" * 300, "a..b", "\0"])
async def test_a_name_that_is_none_raises_an_oserror(name):
    with pytest.raises((OSError, ValueError)):
        await lookup(name, 80)


async def test_a_silent_name_server_stops_no_check_of_an_address_and_none_of_the_loop(
    silent_name_server,
):
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        stuck = [
            asyncio.create_task(TcpCheck(url=f"tcp://db{n}.example:1", timeout=1.0).run())
            for n in range(40)
        ]
        stuck.append(asyncio.create_task(HttpCheck(url=SecretStr("http://db/"), timeout=1.0).run()))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        result = await TcpCheck(url=f"tcp://127.0.0.1:{port}", timeout=1.0).run()
        await asyncio.to_thread(lambda: None)
        assert time.monotonic() - started < 0.5
        assert result.status is Status.HEALTHY
        for result in await asyncio.gather(*stuck):
            assert result.status is Status.CRITICAL
            assert "no answer within 800ms" in result.message
