"""What the load generator sends: one fixed mix of lines, the same in every run.

50 % counters, 20 % gauges, 25 % timers, 5 % sets; 1,000 names of each, which is 4,000 series, or
another number of names; no sample rates. A line has some 34 bytes, or 80 with three DogStatsD tags;
a name always has the same tags, so that they add no series.
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

# Lines that are built, at least; every name of every kind is among them, also of the rarest kind.
_LINES = 1 << 16
_RAREST = 20
_PACKED_MESSAGES = 96
_MOST_IN_DATAGRAM = 80
_SEED = 8125

_SERVICES = ("mail", "search", "orders", "sessions", "inventory")
# Of many lengths, so that lines can be found that fill a datagram.
_ROUTES = ("/", "/cart", "/search", "/orders/item", "/account/settings", "/checkout/payment/card")


class Mix(NamedTuple):
    """How lines are sent, how many names each kind has, and whether lines carry three tags."""

    shape: Shape
    names: int = NAMES
    tagged: bool = False


class Message(NamedTuple):
    """Datagrams of one length, one behind the other."""

    payload: bytes
    datagram_bytes: int
    datagrams: int
    lines: int


def messages(mix: Mix) -> list[Message]:
    """Build the traffic: one line per datagram, or 1432-byte datagrams of about 40 lines."""
    dice = random.Random(_SEED)
    lines = _lines(mix, dice)
    built = _single(lines) if mix.shape == "lines" else _packed(lines, dice)
    dice.shuffle(built)
    return built


def lines_of(kind: str, names: int, *, tagged: bool, dice: random.Random) -> list[bytes]:
    """Build one line for each of `names` series of one kind, with random values."""
    value = _VALUES[kind]
    return [_line(kind, number, value(dice), tagged=tagged) for number in range(names)]


_VALUES: dict[str, Callable[[random.Random], str]] = {
    "c": lambda dice: "1" if dice.random() < 0.8 else str(dice.randrange(2, 100)),
    "g": lambda dice: str(dice.randrange(100_000)),
    "ms": lambda dice: f"{dice.lognormvariate(3, 1):.3f}",
    "s": lambda dice: f"user{dice.randrange(1000)}",
}
_SHARES = {"c": 0.50, "g": 0.20, "ms": 0.25, "s": 0.05}


def _lines(mix: Mix, dice: random.Random) -> list[bytes]:
    total = max(_LINES, mix.names * _RAREST)
    lines = [
        _line(kind, number % mix.names, _VALUES[kind](dice), tagged=mix.tagged)
        for kind, share in _SHARES.items()
        for number in range(int(total * share))
    ]
    dice.shuffle(lines)
    return lines


def _line(kind: str, number: int, value: str, *, tagged: bool) -> bytes:
    # Words that make the lines of all kinds equally long: a message holds lines of one length, and
    # is to hold all kinds of them.
    word = {"c": "page_views", "g": "queued", "ms": "time", "s": "seen"}[kind]
    name = f"webshop.{_SERVICES[number % len(_SERVICES)]}.{word}.{number:04d}"
    route = _ROUTES[number % len(_ROUTES)]
    tags = f"|#env:production,route:{route},zone:eu-{number % 3}" if tagged else ""
    return f"{name}:{value}|{kind}{tags}".encode()


def _by_length(lines: Sequence[bytes]) -> dict[int, list[bytes]]:
    groups: dict[int, list[bytes]] = defaultdict(list)
    for line in lines:
        groups[len(line)].append(line)
    return groups


def _single(lines: Sequence[bytes]) -> list[Message]:
    built = []
    for length, same in _by_length(lines).items():
        for start in range(0, len(same), MOST_SEGMENTS):
            group = same[start : start + MOST_SEGMENTS]
            built.append(Message(b"".join(group), length, len(group), len(group)))
    return built


def _packed(lines: Sequence[bytes], dice: random.Random) -> list[Message]:
    by_length = _by_length(lines)
    per_message = MOST_MESSAGE_BYTES // PACKED_BYTES
    deck: list[bytes] = []
    left = len(lines)
    built: list[Message] = []
    while left > 0 or len(built) < _PACKED_MESSAGES:
        if len(deck) < per_message * _MOST_IN_DATAGRAM:
            deck = [*lines, *deck]
        datagrams = [_fill(deck, by_length, dice) for _ in range(per_message)]
        payload = b"".join(datagrams)
        count = payload.count(b"\n") + per_message
        left -= count - per_message
        built.append(Message(payload, PACKED_BYTES, per_message, count))
    return built


def _fill(deck: list[bytes], by_length: dict[int, list[bytes]], dice: random.Random) -> bytes:
    """Return a datagram of exactly `PACKED_BYTES`: lines of the deck, and a last one that fits."""
    longest = max(by_length)
    while True:
        chosen: list[bytes] = []
        left = PACKED_BYTES
        while left > longest:
            chosen.append(deck.pop())
            left -= len(chosen[-1]) + 1
        if left in by_length:
            return b"\n".join([*chosen, dice.choice(by_length[left])])
        # Back with them: every line of the deck is to be sent.
        next_ones = chosen + deck[-len(chosen) :]
        del deck[-len(chosen) :]
        dice.shuffle(next_ones)
        deck += next_ones
