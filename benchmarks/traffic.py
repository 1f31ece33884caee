"""What the load generator sends: one fixed mix of lines, the same in every run.

50 % counters, 20 % gauges, 25 % timers, 5 % sets; 1,000 names of each; no tags, no sample rates,
because the receivers that are compared all understand that much. A line has some 34 bytes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Shape = Literal["lines", "packed"]

NAMES = 1000
PACKED_BYTES = 1432  # what fits an Ethernet frame with room for tunnels; the clients' default

# Datagrams per kernel message: UDP_SEGMENT cuts one message into at most 64 datagrams of one
# length and at most 64 KiB together.
MOST_SEGMENTS = 64
MOST_MESSAGE_BYTES = 65_000

_LINES = 1 << 16
_PACKED_MESSAGES = 96
_SEED = 8125

_SERVICES = ("mail", "search", "orders", "sessions", "inventory")


class Message(NamedTuple):
    """Datagrams of one length, one behind the other."""

    payload: bytes
    datagram_bytes: int
    datagrams: int
    lines: int


def messages(shape: Shape) -> list[Message]:
    """Build the traffic: one line per datagram, or 1432-byte datagrams of about 40 lines."""
    dice = random.Random(_SEED)
    by_length = _by_length(_lines(dice))
    built = _single(by_length) if shape == "lines" else _packed(by_length, dice)
    dice.shuffle(built)
    return built


def _lines(dice: random.Random) -> list[bytes]:
    makers: list[tuple[Callable[[random.Random], str], str, float]] = [
        (lambda dice: "1" if dice.random() < 0.8 else str(dice.randrange(2, 100)), "c", 0.50),
        (lambda dice: str(dice.randrange(100_000)), "g", 0.20),
        (lambda dice: f"{dice.lognormvariate(3, 1):.3f}", "ms", 0.25),
        (lambda dice: f"user{dice.randrange(1000)}", "s", 0.05),
    ]
    lines = []
    for value, kind, share in makers:
        for number in range(int(_LINES * share)):
            name = _name(kind, number % NAMES)
            lines.append(f"{name}:{value(dice)}|{kind}".encode())
    dice.shuffle(lines)
    return lines


def _name(kind: str, number: int) -> str:
    # Words that make the lines of all kinds equally long: a message holds lines of one length, and
    # is to hold all kinds of them.
    word = {"c": "page_views", "g": "queued", "ms": "time", "s": "seen"}[kind]
    return f"webshop.{_SERVICES[number % len(_SERVICES)]}.{word}.{number:04d}"


def _by_length(lines: Sequence[bytes]) -> dict[int, list[bytes]]:
    groups: dict[int, list[bytes]] = defaultdict(list)
    for line in lines:
        groups[len(line)].append(line)
    return groups


def _single(by_length: dict[int, list[bytes]]) -> list[Message]:
    built = []
    for length, lines in by_length.items():
        for start in range(0, len(lines), MOST_SEGMENTS):
            group = lines[start : start + MOST_SEGMENTS]
            built.append(Message(b"".join(group), length, len(group), len(group)))
    return built


def _packed(by_length: dict[int, list[bytes]], dice: random.Random) -> list[Message]:
    lines = [line for group in by_length.values() for line in group]
    per_message = MOST_MESSAGE_BYTES // PACKED_BYTES
    built = []
    for _ in range(_PACKED_MESSAGES):
        datagrams = [_fill(lines, by_length, dice) for _ in range(per_message)]
        payload = b"".join(datagrams)
        count = payload.count(b"\n") + per_message
        built.append(Message(payload, PACKED_BYTES, per_message, count))
    return built


def _fill(lines: Sequence[bytes], by_length: dict[int, list[bytes]], dice: random.Random) -> bytes:
    """Return a datagram of exactly `PACKED_BYTES`: random lines, and a last one that fits."""
    while True:
        chosen: list[bytes] = []
        left = PACKED_BYTES
        while left > max(by_length):
            chosen.append(dice.choice(lines))
            left -= len(chosen[-1]) + 1
        if left in by_length:
            return b"\n".join([*chosen, dice.choice(by_length[left])])
