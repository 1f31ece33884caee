"""The traffic is the mix that the tables say it is."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from benchmarks.traffic import Mix, lines_of, messages

SHARES = {b"c": 0.50, b"g": 0.20, b"ms": 0.25, b"s": 0.05}
NAMES = 2000


def datagrams(mix):
    return [
        message.payload[at : at + message.datagram_bytes]
        for message in messages(mix)
        for at in range(0, len(message.payload), message.datagram_bytes)
    ]


def kind(line):
    return line.split(b"|")[1]


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "tagged"])
def mix(request):
    return Mix("packed", NAMES, request.param)


@pytest.fixture(scope="module")
def lines(mix):
    return [line for datagram in datagrams(mix) for line in datagram.split(b"\n")]


def test_every_name_of_every_kind_is_sent(lines):
    series = {(line.partition(b":")[0], kind(line)) for line in lines}
    names = Counter(each for _, each in series)
    # A line may wait at the end of the deck for a datagram that it fits into.
    assert names == pytest.approx(dict.fromkeys(SHARES, NAMES), abs=NAMES // 100)


def test_kinds_have_their_shares_of_the_lines(lines):
    kinds = Counter(map(kind, lines))
    shares = {each: number / len(lines) for each, number in kinds.items()}
    assert shares == pytest.approx(SHARES, abs=0.02)


def test_packed_datagrams_are_full(mix):
    assert {len(datagram) for datagram in datagrams(mix)} == {1432}


def test_a_name_always_has_the_same_three_tags(lines, mix):
    tags = {}
    for line in lines:
        name, _, rest = line.partition(b":")
        tags.setdefault((name, kind(line)), set()).add(rest.partition(b"#")[2])
    assert {len(found) for found in tags.values()} == {1}
    count = {found.pop().count(b":") for found in tags.values()}
    assert count == {3 if mix.tagged else 0}


def test_a_message_says_how_many_lines_it_holds(mix):
    for message in messages(mix):
        assert message.lines == message.payload.count(b"\n") + message.datagrams


def test_lines_of_a_kind_have_a_name_each():
    lines = lines_of("ms", 50, tagged=True, dice=random.Random(1))
    assert len({line.partition(b":")[0] for line in lines}) == 50
    assert {kind(line) for line in lines} == {b"ms"}
