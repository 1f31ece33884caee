"""What every forwarder promises, each against a real peer of its own kind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import socket
import struct
from pathlib import Path

import pytest
from pydantic import SecretStr

from vitald.aggregator.forwarders.console import ConsoleForwarder
from vitald.aggregator.forwarders.datadog import DatadogForwarder
from vitald.aggregator.forwarders.dispatcher import Dispatcher
from vitald.aggregator.forwarders.dogstatsd import DogStatsdForwarder
from vitald.aggregator.forwarders.graphite import GraphiteForwarder
from vitald.config.options import ForwarderOptions
from vitald.errors import ForwardError

STAMP = 1_700_000_010
ROWS = 40


class Peer:
    """A target. `counts` has every counter it holds as (name, time) -> (value, deliveries)."""

    def __init__(self, tmp_path, authority, time):
        self.tmp_path = tmp_path
        self.authority = authority
        self.time = time

    async def start(self, *, stalls=False):
        raise NotImplementedError

    async def stop(self):
        raise NotImplementedError

    def close(self):
        """Close what the test itself holds open."""

    def forwarder(self):
        raise NotImplementedError

    def counts(self):
        raise NotImplementedError


class CarbonPeer(Peer):
    protocol = "plaintext"

    async def start(self, *, stalls=False):
        self.data = []
        self.stalls = stalls
        self.gate = asyncio.Event()
        self.server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _handle(self, reader, writer):
        if self.stalls:
            await self.gate.wait()
        else:
            self.data.append(await reader.read(-1))
        writer.close()

    async def stop(self):
        self.gate.set()
        self.server.close()
        await asyncio.sleep(0.01)

    def forwarder(self):
        return GraphiteForwarder(
            host="web",
            url=f"tcp://127.0.0.1:{self.port}",
            protocol=self.protocol,
            profile="datadog",
        )

    def counts(self):
        # Carbon keeps one value for a path and a time, however often it comes.
        return {(name, int(when)): (float(value), 1) for name, value, when in self._points()}

    def _points(self):
        for data in self.data:
            for line in data.decode().splitlines():
                yield line.split()


class CarbonPicklePeer(CarbonPeer):
    protocol = "pickle"

    def _points(self):
        for data in self.data:
            at = 0
            while at < len(data):
                (length,) = struct.unpack_from("!L", data, at)
                for name, (when, value) in pickle.loads(data[at + 4 : at + 4 + length]):
                    yield name, value, when
                at += 4 + length


class IntakePeer(Peer):
    async def start(self, *, stalls=False):
        self.intake = self.new_intake(self.authority[1])
        self.gate = asyncio.Event()
        if stalls:
            self.intake.script.extend([self.gate] * 9)
        await self.intake.start()
        self.url = self.intake.url

    async def stop(self):
        self.gate.set()
        await self.intake.stop()

    def forwarder(self):
        return DatadogForwarder(
            host="web",
            api_key=SecretStr("k" * 32),
            url=self.url,
            ca_file=self.authority[0],
            clock=self.time,
        )

    def counts(self):
        found = {}
        for series in self.intake.series():
            point = series["points"][0]
            value, times = found.get((series["metric"], point["timestamp"]), (0, 0))
            value = point["value"] * series["interval"]
            found[series["metric"], point["timestamp"]] = (value, times + 1)
        return found


class AgentPeer(Peer):
    """An agent adds up what it gets, so a line that comes twice counts twice."""

    family = socket.AF_UNIX

    async def start(self, *, stalls=False):
        self.sock = socket.socket(self.family, socket.SOCK_DGRAM)
        if self.family == socket.AF_UNIX:
            path = str(self.tmp_path / f"{id(self)}.sock")
            self.sock.bind(path)
            self.url = f"unixgram://{path}"
        else:
            self.sock.bind(("127.0.0.1", 0))
            self.url = f"udp://127.0.0.1:{self.sock.getsockname()[1]}"
        self.sock.setblocking(False)
        if stalls:
            self._fill()

    def _fill(self):
        with socket.socket(self.family, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            filler.connect(self.sock.getsockname())
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.send(b"x")

    async def stop(self):
        self.sock.close()

    def forwarder(self):
        return DogStatsdForwarder(host="web", url=self.url, clock=self.time)

    def counts(self):
        found = {}
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self.sock.recv(65536).decode().split("\n"):
                    name, _, rest = line.partition(":")
                    value, _, *fields = rest.split("|")
                    when = next(int(field[1:]) for field in fields if field.startswith("T"))
                    total, times = found.get((name, when), (0.0, 0))
                    found[name, when] = (total + float(value), times + 1)
        return found


class UdpAgentPeer(AgentPeer):
    family = socket.AF_INET


class TerminalPeer(Peer):
    async def start(self, *, stalls=False):
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        if stalls:
            os.set_blocking(self.write, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(self.write, b"x" * 4096)
            os.set_blocking(self.write, True)

    async def stop(self):
        os.close(self.read)

    def close(self):
        if hasattr(self, "write"):
            os.close(self.write)

    def forwarder(self):
        return ConsoleForwarder(host="web", output=self.write)

    def counts(self):
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.read, 65536):
                data += piece
        found = {}
        for line in data.splitlines():
            document = json.loads(line)
            assert document["time"] == "2023-11-14T22:13:30.000Z"
            _, times = found.get((document["name"], STAMP), (0, 0))
            found[document["name"], STAMP] = (document["sum"], times + 1)
        return found


PEERS = [CarbonPeer, CarbonPicklePeer, IntakePeer, AgentPeer, UdpAgentPeer, TerminalPeer]


@pytest.fixture(params=PEERS, ids=lambda peer: peer.__name__.removesuffix("Peer"))
def peer(request, tmp_path, authority, time, new_intake):
    request.param.new_intake = staticmethod(new_intake)
    made = request.param(tmp_path, authority, time)
    yield made
    made.close()


@pytest.fixture
def interval(make):
    return make.interval([make.counter(f"c{i}", float(i)) for i in range(ROWS)])


EXPECTED = {(f"c{i}", STAMP): (pytest.approx(float(i)), 1) for i in range(ROWS)}


def open_sockets():
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


async def test_it_delivers_once_with_the_intervals_own_time(peer, interval, time):
    await peer.start()
    time.wall += 30
    await peer.forwarder().send(interval)
    assert peer.counts() == EXPECTED
    await peer.stop()


async def test_a_second_send_of_the_same_interval_is_harmless(peer, interval):
    await peer.start()
    forwarder = peer.forwarder()
    await forwarder.send(interval)
    await forwarder.send(interval)
    assert peer.counts() == EXPECTED
    await peer.stop()


async def test_intervals_follow_each_other(peer, interval, make):
    await peer.start()
    forwarder = peer.forwarder()
    await forwarder.send(interval)
    await forwarder.send(make.interval([make.counter("next", 1.0)]))
    assert peer.counts() == {**EXPECTED, ("next", STAMP): (pytest.approx(1.0), 1)}
    await peer.stop()


async def test_a_peer_that_is_gone_is_a_forward_error(peer, interval):
    await peer.start()
    forwarder = peer.forwarder()
    await peer.stop()
    for _ in range(2):
        with pytest.raises(ForwardError, match=r"^cannot (send|connect|write) to "):
            await forwarder.send(interval)


async def test_a_send_that_is_cancelled_anywhere_leaves_no_socket_open(peer, interval):
    before = open_sockets()
    await peer.start()
    for steps in [*range(12), 20, 40, 80]:
        sending = asyncio.ensure_future(peer.forwarder().send(interval))
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait({sending})
        with contextlib.suppress(asyncio.CancelledError):
            sending.exception()
    await peer.stop()
    await asyncio.sleep(0.05)
    assert open_sockets() <= before


# Nothing stalls over UDP: datagrams are dropped instead.
@pytest.mark.parametrize("peer", [p for p in PEERS if p is not UdpAgentPeer], indirect=True)
async def test_a_peer_that_never_answers_is_left_when_the_send_is_cancelled(peer, interval):
    before = open_sockets()
    await peer.start(stalls=True)
    sending = asyncio.ensure_future(peer.forwarder().send(interval))
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    assert not done
    sending.cancel()
    done, _ = await asyncio.wait({sending}, timeout=2)
    assert sending.cancelled()
    await peer.stop()
    await asyncio.sleep(0.05)
    assert open_sockets() <= before


async def test_it_needs_nothing_but_the_dispatcher(peer, interval, time):
    await peer.start()
    dispatcher = Dispatcher(clock=time)
    dispatcher.add("it", "type", peer.forwarder())
    dispatcher.submit(interval)
    await dispatcher.stop(5.0)
    (entry,) = dispatcher.statistics()
    assert (entry["submitted"], entry["sent"], entry["dropped"]) == (1, 1, {})
    assert peer.counts() == EXPECTED
    await peer.stop()


def test_its_options_extend_the_common_ones_and_are_described(peer):
    kinds = {
        CarbonPeer: GraphiteForwarder,
        IntakePeer: DatadogForwarder,
        AgentPeer: DogStatsdForwarder,
        TerminalPeer: ConsoleForwarder,
    }
    kind = next(kind for base, kind in kinds.items() if isinstance(peer, base))
    assert issubclass(kind.Options, ForwarderOptions)
    assert all(field.description for field in kind.Options.model_fields.values())
