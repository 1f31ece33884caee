"""The load generator: sends the traffic of `benchmarks.traffic` to a UDP address.

    python -m benchmarks.loadgen 127.0.0.1:8125 --shape packed --seconds 5 --cpus 2,3
    python -m benchmarks.loadgen 127.0.0.1:8125 --rate 100000       # datagrams/s, all senders

Runs one sender thread per CPU of `--cpus`, each pinned, and prints one line of JSON with what it
sent. Flat out unless `--rate` is given: 2 million datagrams/s per core were seen, several times
what one core can receive, so the receiver is the bottleneck and the kernel drops the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.sendmmsg import Batch, Sent, can_segment
from benchmarks.traffic import Message, messages

if TYPE_CHECKING:
    from collections.abc import Sequence

# Datagrams per system call: flat out some 1 ms of kernel time; paced at most this much at once,
# which a default receive buffer holds.
FLAT_OUT_DATAGRAMS = 2048
PACED_DATAGRAMS = 64


class Target(NamedTuple):
    """Where to send, and for how long at what pace (`rate` datagrams/s per sender, 0: flat out)."""

    host: str
    port: int
    seconds: float
    rate: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    host, _, port = options.address.rpartition(":")
    cpus = [int(cpu) for cpu in options.cpus.split(",")] if options.cpus else [None]
    target = Target(host.strip("[]"), int(port), options.seconds, options.rate / len(cpus))
    traffic = messages(options.shape)
    probe = _socket(target)
    if not can_segment(probe):
        traffic = [part for message in traffic for part in _cut(message)]
    probe.close()
    batches = _batches(traffic, PACED_DATAGRAMS if options.rate else FLAT_OUT_DATAGRAMS)
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
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0, help="datagrams/s; 0 is flat out")
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
    with _socket(target) as sock:
        started = time.perf_counter()
        end = started + target.seconds
        while True:
            for batch in batches:
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
