"""The load generator: sends the traffic of `benchmarks.traffic` to a UDP address.

    python -m benchmarks.loadgen 127.0.0.1:8125 --shape packed --seconds 5 --cpus 2,3
    python -m benchmarks.loadgen 127.0.0.1:8125 --rate 100000       # datagrams/s, all senders
    python -m benchmarks.loadgen 127.0.0.1:8125 --shape packed --tagged --names 25000 --sockets 16

Runs one sender thread per CPU of `--cpus`, each pinned, and prints one line of JSON with what it
sent. A sender takes its `--sockets` in turn: SO_REUSEPORT chooses a reader by address and port of
the sender, so one socket reaches one reader alone. Flat out unless `--rate` is given: 2 million
datagrams/s per core were seen, several times what one core can receive, so the receiver is the
bottleneck and the kernel drops the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from contextlib import ExitStack
from functools import reduce
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.sendmmsg import Batch, Sent, can_segment
from benchmarks.traffic import NAMES, Message, Mix, messages

if TYPE_CHECKING:
    from collections.abc import Sequence

# Datagrams per system call: flat out some 1 ms of kernel time; paced at most this much at once,
# which a default receive buffer holds.
FLAT_OUT_DATAGRAMS = 2048
PACED_DATAGRAMS = 64


class Target(NamedTuple):
    """Where to send, how long, and per sender at what pace and from how many sockets.

    `rate` is in datagrams/s, 0 is flat out.
    """

    host: str
    port: int
    seconds: float
    rate: float = 0.0
    sockets: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    host, _, port = options.address.rpartition(":")
    cpus = [int(cpu) for cpu in options.cpus.split(",")] if options.cpus else [None]
    target = Target(
        host.strip("[]"), int(port), options.seconds, options.rate / len(cpus), options.sockets
    )
    traffic = messages(Mix(options.shape, options.names, options.tagged))
    probe = _socket(target)
    if options.whole or not can_segment(probe):
        traffic = [part for message in traffic for part in _cut(message)]
    probe.close()
    batches = _batches(traffic, PACED_DATAGRAMS if options.rate else FLAT_OUT_DATAGRAMS)
    if options.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    started = time.perf_counter()
    sent = _send_from(cpus, batches, target)
    seconds = time.perf_counter() - started
    print(json.dumps({**sent._asdict(), "seconds": round(seconds, 3)}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loadgen", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("address", help="HOST:PORT of the receiver")
    parser.add_argument("--shape", choices=("lines", "packed"), default="lines")
    parser.add_argument("--names", type=int, default=NAMES, help="names of each of the four kinds")
    parser.add_argument("--tagged", action="store_true", help="three DogStatsD tags on each line")
    parser.add_argument("--whole", action="store_true", help="datagrams made one by one, not cut")
    parser.add_argument("--sockets", type=int, default=1, help="source sockets of each sender")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0, help="datagrams/s; 0 is flat out")
    parser.add_argument("--wait", action="store_true", help="say `ready`, begin at a line of input")
    parser.add_argument("--cpus", default="", help="one sender on each of these, such as 2,3")
    return parser


def _send_from(cpus: Sequence[int | None], batches: Sequence[Batch], target: Target) -> Sent:
    results: list[Sent] = []
    failures: list[BaseException] = []

    def run(number: int, cpu: int | None) -> None:
        try:
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})  # the calling thread alone
            # Senders start at different places, so that they do not send the same names at once.
            start = number * len(batches) // len(cpus)
            results.append(_send([*batches[start:], *batches[:start]], target))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(cpus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return reduce(Sent.plus, results, Sent())


def _send(batches: Sequence[Batch], target: Target) -> Sent:
    sent = Sent()
    with ExitStack() as stack:
        sockets = cycle([stack.enter_context(_socket(target)) for _ in range(target.sockets)])
        started = time.perf_counter()
        end = started + target.seconds
        while True:
            for batch, sock in zip(batches, sockets, strict=False):
                now = time.perf_counter()
                if now >= end:
                    return sent
                ahead = sent.datagrams / target.rate - (now - started) if target.rate else 0.0
                if ahead > 0:
                    time.sleep(min(ahead, end - now))
                sent = sent.plus(batch.send(sock))


def _socket(target: Target) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(
        target.host, target.port, type=socket.SOCK_DGRAM
    )[0]
    sock = socket.socket(family, kind, proto)
    sock.connect(address)
    return sock


def _cut(message: Message) -> list[Message]:
    """Return one message per datagram, for a kernel that does not cut by itself."""
    size = message.datagram_bytes
    pieces = [message.payload[at : at + size] for at in range(0, len(message.payload), size)]
    return [Message(piece, size, 1, piece.count(b"\n") + 1) for piece in pieces]


def _batches(traffic: Sequence[Message], datagrams: int) -> list[Batch]:
    built: list[Batch] = []
    waiting: list[Message] = []
    for message in traffic:
        waiting.append(message)
        # UIO_MAXIOV: the kernel takes 1,024 messages at once and silently no more.
        if sum(m.datagrams for m in waiting) >= datagrams or len(waiting) == 1024:
            built.append(Batch(waiting))
            waiting = []
    return [*built, Batch(waiting)] if waiting else built


if __name__ == "__main__":
    sys.exit(main())
