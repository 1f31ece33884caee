"""Bound sockets attached to every engine: nothing waits, nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import socket

import pytest
from engines import ask, assert_balanced, at

from vitald.aggregator.sockets import Address
from vitald.wire.dialect import Dialect

# A Unix datagram longer than this is cut (vitald.aggregator.receiver.SIZE).
SIZE = 65_536


@pytest.fixture(params=["udp", "udp v6", "unixgram"])
def any_socket(request, bound, place):
    return bound(
        {
            "udp": Address("udp", "127.0.0.1"),
            "udp v6": Address("udp", "::1"),
            "unixgram": Address("unixgram", path=str(place / "any.sock")),
        }[request.param]
    )


@pytest.fixture
async def engine(new_engine):
    """Unlike the other suites' engine, one that can receive."""
    loop = asyncio.get_running_loop()
    return new_engine(add_reader=loop.add_reader, remove_reader=loop.remove_reader)


def datagrams(engine, label="label"):
    return engine.ledger().listeners.get(label, {}).get("datagrams", 0)


# Delivery


async def test_a_single_packet_arrives_without_another_one_behind_it(engine, any_socket, until):
    engine.attach(any_socket.bound, "label")
    for number in range(1, 21):
        any_socket.send(b"a:1|c")
        await until(lambda number=number: datagrams(engine) == number)
    engine.detach(any_socket.bound)
    ledger = engine.ledger()
    assert (ledger.lines, ledger.aggregated, ledger.bytes_received) == (20, 20, 100)


async def test_a_short_batch_repeats_nothing_of_a_longer_one(engine, any_socket, until):
    engine.attach(any_socket.bound, "label")
    sent = 0
    for size in (8, 1, 3, 8, 2, 1):
        lines = (b"first:1|c\nlonger.name.%d.%d:1|c" % (size, at) for at in range(size))
        any_socket.send(*lines, b"last:1|c")
        sent += size + 1
        await until(lambda sent=sent: datagrams(engine) == sent)
    engine.detach(any_socket.bound)
    engine.rotate(at(10))
    rows = {row.name: row.sum for row in ask(engine).values()}
    assert (rows["first"], rows["last"]) == (23, 6)
    assert sum(rows.values()) == 2 * 23 + 6 == engine.ledger().lines


async def test_packets_are_taken_in_the_order_in_which_they_came(engine, udp, until):
    end = udp()
    engine.attach(end.bound, "label")
    end.send(*(b"g:%d|g\ng:+1|g" % number for number in range(100)))
    await until(lambda: datagrams(engine) == 100)
    engine.rotate(at(10))
    (row,) = ask(engine).values()
    assert (row.last, row.min, row.max, row.count) == (100, 0, 100, 200)


async def test_a_packet_without_a_byte_is_a_datagram_and_no_end(engine, udp, until):
    end = udp()
    engine.attach(end.bound, "label")
    end.send(b"", b"\n", b"a:1|c", b"")
    await until(lambda: datagrams(engine) == 4)
    ledger = engine.ledger()
    assert (ledger.lines, ledger.aggregated, ledger.bytes_received) == (1, 1, 6)


async def test_every_socket_has_its_own_dialect_and_label(engine, udp, until):
    one, two = udp(), udp()
    engine.attach(one.bound, "one")
    engine.attach(two.bound, "two", Dialect(gauge_sign="absolute"))
    for end, name in ((one, b"a"), (two, b"b")):
        end.send(b"%b:5|g\n%b:-2|g" % (name, name))
    await until(lambda: datagrams(engine, "one") + datagrams(engine, "two") == 2)
    engine.rotate(at(10))
    assert {row.name: row.last for row in ask(engine).values()} == {"a": 3, "b": -2}


# Cut datagrams


@pytest.mark.parametrize(("size", "is_cut"), [(SIZE - 1, False), (SIZE, False), (SIZE + 1, True)])
async def test_a_datagram_is_cut_where_the_buffer_ends(engine, unixgram, until, size, is_cut):
    end = unixgram()
    end.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
    engine.attach(end.bound, "label")
    line = b"some.name:1|c\n"
    data = (line * (size // len(line) + 1))[: size - len(b"tail:1|c")] + b"tail:1|c"
    whole = data[:SIZE].split(b"\n")
    end.send(data, b"a:1|c")
    await until(lambda: datagrams(engine) == 2)
    ledger = engine.ledger()
    assert ledger.rejected.get("truncated", 0) == is_cut
    assert ledger.lines == len(whole) + 1
    assert ledger.bytes_received == size + 5
    assert_balanced(ledger)


async def test_the_packets_around_a_cut_one_are_whole(engine, unixgram, until):
    end = unixgram()
    end.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * SIZE)
    engine.attach(end.bound, "label")
    long = b"\n".join([b"long:1|c"] * 10_000)
    end.send(b"a:1|c", long, b"a:1|c", long, b"a:1|c")
    await until(lambda: datagrams(engine) == 5)
    ledger = engine.ledger()
    kept = len(long[:SIZE].split(b"\n")) - 1
    assert (ledger.aggregated, ledger.rejected) == (3 + 2 * kept, {"truncated": 2})
    assert ledger.bytes_received == 3 * 5 + 2 * len(long)


# Detaching


async def test_detaching_takes_what_the_kernel_still_holds(engine, udp):
    end = udp(receive_buffer=1_000_000)
    engine.attach(end.bound, "label")
    end.send(*[b"a:1|c\nb:1|c"] * 200)
    engine.detach(end.bound)
    assert (datagrams(engine), engine.ledger().aggregated) == (200, 400)


async def test_a_detached_socket_is_free_when_it_is_closed(engine, udp):
    end = udp()
    engine.attach(end.bound, "label")
    end.send(b"a:1|c")
    engine.detach(end.bound)
    end.bound.close()
    with pytest.raises(ConnectionRefusedError):
        end.send(b"a:1|c", b"a:1|c")
    assert datagrams(engine) == 1


async def test_the_next_socket_of_a_label_adds_to_its_books(engine, udp, until):
    for number in (1, 2, 3):
        end = udp()
        engine.attach(end.bound, "label")
        end.send(b"a:1|c")
        await until(lambda number=number: datagrams(engine) == number)
        engine.detach(end.bound)
        end.close()
    assert engine.ledger().lines == 3


# What the kernel dropped


def flood(end, total):
    data = b"a:1|c\n" * 100
    for _ in range(total):
        end.sender.send(data)


async def settled(until, engine, total):
    """Wait until every packet was received or dropped, and return the books."""
    await until(lambda: sum(arrived(engine)) == total)
    ledger = engine.ledger()
    assert_balanced(ledger)
    assert ledger.aggregated == 100 * ledger.datagrams_received
    return ledger


def arrived(engine):
    ledger = engine.ledger()
    return ledger.datagrams_received, ledger.kernel_dropped


async def test_what_a_full_buffer_drops_is_counted_to_the_last_packet(engine, udp, until):
    end = udp(receive_buffer=1)  # the least that the kernel gives: a few packets
    engine.attach(end.bound, "label")
    flood(end, 20_000)
    ledger = await settled(until, engine, 20_000)
    assert 0 < ledger.kernel_dropped < 20_000
    assert ledger.listeners["label"]["kernel_dropped"] == ledger.kernel_dropped
    engine.detach(end.bound)
    assert sum(arrived(engine)) == 20_000


async def test_drops_are_counted_by_detaching_too(engine, udp):
    end = udp(receive_buffer=1)
    engine.attach(end.bound, "label")
    flood(end, 5000)
    engine.detach(end.bound)
    assert sum(arrived(engine)) == 5000


async def test_drops_before_a_socket_was_attached_are_its_own(engine, udp, until):
    end = udp(receive_buffer=1)
    flood(end, 1000)
    engine.attach(end.bound, "label")
    await settled(until, engine, 1000)


async def test_the_drops_of_a_socket_are_counted_once_however_often_it_is_attached(engine, udp):
    end = udp(receive_buffer=1)
    flood(end, 1000)
    with end.bound.dup() as copy:
        for each in (end.bound, copy):
            engine.attach(each, "label")
        engine.detach(copy)
        engine.attach(copy, "label")
        engine.detach(end.bound)
        engine.detach(copy)
    datagrams, dropped = arrived(engine)
    assert dropped > 0
    assert datagrams + dropped == 1000


async def test_two_sockets_on_one_port_add_up_under_one_label(engine, until):
    first = reuse_port(0)
    second = reuse_port(first.getsockname()[1])
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
    try:
        for each in (first, second):
            engine.attach(each, "label")
        for sender in senders:  # the kernel spreads senders, not packets
            sender.connect(first.getsockname())
            for _ in range(50):
                sender.send(b"a:1|c\n" * 100)
        ledger = await settled(until, engine, 32 * 50)
        assert list(ledger.listeners) == ["label"]
    finally:
        for each in (first, second):
            engine.detach(each)
        for each in (first, second, *senders):
            each.close()


def reuse_port(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock
