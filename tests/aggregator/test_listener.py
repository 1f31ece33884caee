"""Real sockets on loopback into a real engine."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from vitald.aggregator.listener import Listener
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.receiver import BUDGET, BUDGET_BYTES
from vitald.aggregator.selector import Selector
from vitald.aggregator.sockets import Address
from vitald.aggregator.stream import MOST_CONNECTIONS, MOST_LINE, TURN_BYTES
from vitald.clock import Instant
from vitald.errors import StartError


@pytest.fixture
async def engine():
    loop = asyncio.get_running_loop()
    return PythonEngine(Instant(0, 0), add_reader=loop.add_reader, remove_reader=loop.remove_reader)


@pytest.fixture
async def listen(engine):
    listeners = []

    async def start(address, **options):
        listener = Listener(address, engine, **options)
        await listener.start()
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        if not listener._socks[0]._closed:
            await listener.stop()


def addresses(folder):
    return {
        "udp v4": Address("udp", "127.0.0.1"),
        "udp v6": Address("udp", "::1"),
        "unixgram": Address("unixgram", path=str(folder / "dgram.sock")),
        "tcp v4": Address("tcp", "127.0.0.1"),
        "tcp v6": Address("tcp", "::1"),
        "unix": Address("unix", path=str(folder / "stream.sock")),
    }


KINDS = list(addresses(Path()))


def mode_of(listener):
    return stat.S_IMODE(Path(listener.address.path).stat().st_mode)


def connect(address):
    family = (
        socket.AF_UNIX
        if address.path
        else socket.AF_INET6
        if ":" in address.host
        else socket.AF_INET
    )
    kind = socket.SOCK_DGRAM if address.scheme in {"udp", "unixgram"} else socket.SOCK_STREAM
    sock = socket.socket(family, kind)
    sock.connect(address.path or (address.host, address.port))
    return sock


def send(address, pieces):
    """Runs in a thread: a Unix datagram socket blocks its sender when ten datagrams wait."""
    with connect(address) as sock:
        for piece in pieces:
            sock.sendall(piece)


@pytest.mark.parametrize("kind", KINDS)
async def test_lines_arrive_through_every_kind_of_listener(kind, tmp_path, engine, listen):
    listener = await listen(addresses(tmp_path)[kind])
    sent = [b"a:%d|c\nb:1|g\n" % i for i in range(20)]
    await asyncio.to_thread(send, listener.address, sent)
    await listener.stop()
    ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (40, {})


@pytest.mark.parametrize("kind", KINDS)
async def test_a_listener_is_in_the_ledger_from_the_start(kind, tmp_path, engine, listen):
    listener = await listen(addresses(tmp_path)[kind])
    ledger = engine.ledger()
    assert ledger.listeners[str(listener.address)]["datagrams"] == 0
    assert ledger.lines == 0


@pytest.mark.parametrize("kind", ["unixgram", "unix"])
async def test_stopping_leaves_no_socket_file(kind, tmp_path, listen):
    listener = await listen(addresses(tmp_path)[kind])
    assert mode_of(listener) == 0o600
    await listener.stop()
    assert list(tmp_path.iterdir()) == []


async def test_the_mode_of_a_unix_socket_can_be_wider(tmp_path, listen):
    previous = os.umask(0o077)
    try:
        listener = await listen(Address("unixgram", path=str(tmp_path / "s")), mode=0o666)
    finally:
        os.umask(previous)
    assert mode_of(listener) == 0o666


async def test_a_stale_socket_file_is_taken_over(tmp_path, listen):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(path))
    await listen(Address("unixgram", path=str(path)))


@pytest.mark.parametrize("scheme", ["unixgram", "unix"])
async def test_a_socket_that_answers_is_not_taken_over(scheme, tmp_path, engine, listen):
    address = Address(scheme, path=str(tmp_path / "s"))
    await listen(address)
    with pytest.raises(StartError, match=f"cannot bind {scheme}:.*: another process listens there"):
        Listener(address, engine)


async def test_a_path_that_is_no_socket_is_not_removed(tmp_path, engine):
    path = tmp_path / "precious"
    path.write_text("keep me")
    with pytest.raises(StartError, match="the path exists and is not a socket"):
        Listener(Address("unix", path=str(path)), engine)
    assert path.read_text() == "keep me"


async def test_a_port_in_use_is_one_clear_line(engine, listen):
    first = await listen(Address("tcp", "127.0.0.1"))
    with pytest.raises(StartError) as caught:
        Listener(first.address, engine)
    assert str(caught.value) == (
        f"cannot bind tcp://127.0.0.1:{first.address.port}: address already in use"
    )


async def test_a_flood_is_taken_in_turns_and_to_the_last_datagram(engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"), receive_buffer=8 * 2**20)
    with connect(listener.address) as sock:
        for _ in range(BUDGET * 3 + 5):
            sock.send(b"a:1|c")
    await listener.stop()
    assert engine.ledger().datagrams_received == BUDGET * 3 + 5


async def test_what_the_kernel_dropped_is_counted_to_the_last_packet(engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"), receive_buffer=4096)
    with connect(listener.address) as sock:
        for _ in range(1000):
            sock.send(b"a:1|c" * 20)
    await listener.stop()
    ledger = engine.ledger()
    assert ledger.kernel_dropped > 0
    assert ledger.datagrams_received + ledger.kernel_dropped == 1000


async def test_a_unix_datagram_beyond_the_buffer_loses_its_cut_line_only(tmp_path, engine, listen):
    listener = await listen(Address("unixgram", path=str(tmp_path / "s")), receive_buffer=1_000_000)
    lines = [b"a:1|c"] * 20_000
    with connect(listener.address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        sock.send(b"\n".join(lines))
    await listener.stop()
    ledger = engine.ledger()
    whole = 65_536 // len(b"a:1|c\n")
    assert (ledger.aggregated, ledger.rejected) == (whole, {"truncated": 1})


@pytest.mark.parametrize("kind", ["tcp v4", "unix"])
async def test_a_line_cut_by_the_end_of_the_connection_is_truncated(kind, tmp_path, engine, listen):
    listener = await listen(addresses(tmp_path)[kind])
    with connect(listener.address) as sock:
        sock.sendall(b"a:1|c\na:1")
    await listener.stop()
    ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (1, {"truncated": 1})


async def test_lines_split_over_reads_are_put_together(engine, listen):
    listener = await listen(Address("tcp", "127.0.0.1"))
    _, writer = await asyncio.open_connection(listener.address.host, listener.address.port)
    for piece in (b"a:", b"1|", b"c\nb", b":2|c\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)  # so that the pieces are read apart
    writer.close()
    await writer.wait_closed()
    await listener.stop()
    assert engine.ledger().aggregated == 2


async def test_an_endless_line_is_cut_and_skipped_in_bounded_memory(engine, listen):
    listener = await listen(Address("tcp", "127.0.0.1"))
    with connect(listener.address) as sock:
        sock.setblocking(True)
        await asyncio.to_thread(sock.sendall, b"x" * (MOST_LINE * 5) + b"\na:1|c\n")
    await listener.stop()
    ledger = engine.ledger()
    assert (ledger.aggregated, ledger.rejected) == (1, {"truncated": 1})


async def test_connections_beyond_the_limit_are_turned_away_and_counted(engine, listen):
    listener = await listen(Address("tcp", "127.0.0.1"))
    socks = [
        await asyncio.to_thread(connect, listener.address) for _ in range(MOST_CONNECTIONS + 3)
    ]
    socks[0].sendall(b"a:1|c\n")
    await listener.stop()
    for sock in socks:
        sock.close()
    assert listener.refused_connections == 3
    assert engine.ledger().aggregated == 1


async def test_a_cut_datagram_keeps_its_place_among_the_others(tmp_path, engine, listen):
    listener = await listen(Address("unixgram", path=str(tmp_path / "s")))
    with connect(listener.address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        sock.send(b"g:1|g")
        sock.send(b"g:2|g\n" + b"x" * 70_000)
        sock.send(b"g:+1|g")
        sock.send(b"a:1|c")
    await listener.stop()
    engine.rotate(Instant(10, 10))
    rows = {row.name: row for batch in engine.query(Selector(), 10).rows() for row in batch}
    assert (rows["g"].last, rows["a"].sum) == (3, 1)
    assert engine.ledger().datagrams_received == 4


async def test_stopping_takes_what_waits_behind_cut_and_empty_datagrams(tmp_path, engine, listen):
    listener = await listen(Address("unixgram", path=str(tmp_path / "s")))
    pieces = [b"x" * 70_000, b"", b"a:1|c"] * 3
    with connect(listener.address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        for piece in pieces:
            sock.send(piece)
    await listener.stop()
    ledger = engine.ledger()
    assert (ledger.datagrams_received, ledger.aggregated) == (9, 3)
    assert ledger.bytes_received == sum(map(len, pieces))


async def test_one_turn_takes_a_bounded_number_of_bytes(engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"), receive_buffer=8 * 2**20)
    datagram = b"a:1|c\n" * 10_000
    with connect(listener.address) as sock:
        for _ in range(20):
            sock.send(datagram)
    engine._receivers[listener._socks[0].fileno()].drain()
    assert engine.ledger().bytes_received <= BUDGET_BYTES + 65_536
    await listener.stop()
    assert engine.ledger().aggregated == 200_000


async def test_many_busy_connections_leave_the_event_loop_its_turn(engine, listen):
    listener = await listen(Address("tcp", "127.0.0.1"))
    taken = []
    listener._stream._take = lambda data, cut: taken.append(len(data))
    with connect(listener.address) as sock:
        await asyncio.to_thread(sock.sendall, b"a:1|c\n" * 20_000)
    await listener.stop()
    assert sum(taken) >= 20_000 * 5
    assert max(taken) <= TURN_BYTES + MOST_LINE


async def test_the_file_that_another_process_put_in_our_place_stays(tmp_path, listen):
    path = tmp_path / "s"
    listener = await listen(Address("unixgram", path=str(path)))
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        await listener.stop()
        listener.close()
        assert path.exists()


async def test_a_name_with_addresses_of_both_kinds_is_bound_to_ipv4(engine, listen, monkeypatch):
    both = [
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr("vitald.aggregator.sockets.socket.getaddrinfo", lambda *_, **__: both)
    listener = await listen(Address("udp", "localhost"))
    assert listener._socks[0].family == socket.AF_INET


def ports_of(listener):
    return [sock.getsockname() for sock in listener._socks]


@pytest.mark.parametrize("kind", ["udp v4", "udp v6"])
async def test_readers_share_one_address_and_one_line_in_the_ledger(kind, tmp_path, engine, listen):
    listener = await listen(addresses(tmp_path)[kind], readers=4)
    assert len(set(ports_of(listener))) == 1
    for _ in range(40):  # each from a port of its own, so that every reader gets some
        send(listener.address, [b"a:1|c", b"a:1|c"])
    await listener.stop()
    ledger = engine.ledger()
    assert ledger.aggregated == 80
    assert list(ledger.listeners) == [str(listener.address)]
    assert ledger.listeners[str(listener.address)]["datagrams"] == 80


async def test_drops_of_all_readers_are_counted_to_the_last_packet(engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"), readers=2, receive_buffer=4096)
    for _ in range(20):
        with connect(listener.address) as sock:
            for _ in range(50):
                sock.send(b"a:1|c" * 20)
    await listener.stop()
    ledger = engine.ledger()
    assert ledger.kernel_dropped > 0
    assert ledger.datagrams_received + ledger.kernel_dropped == 1000


@pytest.mark.parametrize("readers", [1, 2])
async def test_nobody_joins_an_address_by_accident(readers, engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"), readers=2)
    with pytest.raises(StartError, match=r"cannot bind udp://.*: address already in use"):
        Listener(listener.address, engine, readers=readers)


async def test_one_reader_lets_nobody_join(engine, listen):
    listener = await listen(Address("udp", "127.0.0.1"))
    (sock,) = listener._socks
    assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


async def test_a_listener_that_cannot_be_attached_holds_nothing(engine, monkeypatch):
    attached = []

    def attach(sock, *_):
        if attached:
            raise OSError(24, "ignored")
        attached.append(sock)

    detached = []
    monkeypatch.setattr(engine, "attach", attach)
    monkeypatch.setattr(engine, "detach", detached.append)
    listener = Listener(Address("udp", "127.0.0.1"), engine, readers=2)
    with pytest.raises(StartError, match=r"cannot receive on udp://.*: too many open files"):
        await listener.start()
    listener.close()
    assert attached[0] in detached
    assert all(sock.fileno() < 0 for sock in listener._socks)
