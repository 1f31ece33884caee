from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from vitald.client.claims import Claims
from vitald.wire.parse import Line, parse_line


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def said(lines):
    """What the receiver makes of lines: the value of each name."""
    parsed = [parse_line(line) for line in lines]
    assert all(isinstance(each, Line) for each in parsed)
    return {each.samples[0].key.name: each.samples[0].values[0] for each in parsed}


def send(claims, *counts):
    """Let the kernel take one datagram for each count of samples."""
    for samples in counts:
        stamp = claims.stamp(samples)
        claims.sent(b"jobs:1|c" + (b"\n" + stamp if stamp else b""), samples)


def test_a_stamp_is_a_counter_of_the_samples_for_this_client():
    claims = Claims()
    sample = parse_line(claims.stamp(23)).samples[0]
    assert (sample.key.type.value, sample.key.name) == ("counter", "vitald.client.received")
    assert (sample.values, sample.key.tags) == ([23.0], (("client", claims.client),))


def test_a_datagram_without_samples_has_no_stamp():
    assert Claims().stamp(0) is None


def test_claims_are_what_left_since_the_start():
    claims = Claims(wall=lambda: 1_700_000_000.25)
    send(claims, 5, 3)
    assert said(claims.report()) == {
        "vitald.client.claimed": 8,
        "vitald.client.claimed_datagrams": 2,
        "vitald.client.started": 1_700_000_000.25,
    }
    send(claims, 2)
    assert said(claims.report())["vitald.client.claimed"] == 10


def test_a_client_starts_with_the_first_datagram_that_is_taken():
    clock = Clock()
    claims = Claims(wall=clock)
    claims.stamp(5)  # nobody listens yet
    clock.now += 60
    send(claims, 5)
    clock.now += 60
    send(claims, 5)
    assert said(claims.report())["vitald.client.started"] == 160.0


def test_every_claim_is_made_twice_and_then_never_again():
    claims = Claims()
    assert claims.report() == []
    send(claims, 5)
    first = claims.report()
    assert claims.report() == first != []
    assert claims.report() == []


def test_what_carries_no_stamp_of_this_client_is_not_claimed():
    claims, other = Claims(), Claims()
    claims.sent(b"jobs:1|c", 1)
    claims.sent(b"jobs:1|c\n" + other.stamp(1), 1)
    claims.sent(b"\n".join(other.report()), 0)
    assert claims.report() == []


def test_the_claims_themselves_are_not_claimed():
    claims = Claims()
    send(claims, 5)
    claims.sent(b"\n".join(claims.report()), 0)
    assert said(claims.report())["vitald.client.claimed_datagrams"] == 1


def test_a_datagram_that_was_refused_is_not_claimed():
    claims = Claims()
    send(claims, 5, 3)
    claims.refused()
    assert said(claims.report())["vitald.client.claimed"] == 5
    claims.refused()  # of the same datagram: nobody knows of another one
    assert said(claims.report())["vitald.client.claimed_datagrams"] == 1


def test_a_refusal_behind_a_datagram_without_a_stamp_takes_nothing_back():
    claims = Claims()
    send(claims, 5)
    claims.sent(b"vitald.client.dropped:1|c", 0)
    claims.refused()
    assert said(claims.report())["vitald.client.claimed"] == 5


def test_a_process_that_is_gone_soon_says_nothing():
    clock = Clock()
    claims = Claims(quiet=1.0, clock=clock)
    send(claims, 5)
    assert claims.report() == []
    clock.now += 1.0
    send(claims, 2)
    assert said(claims.report())["vitald.client.claimed"] == 2


def test_after_a_fork_it_is_another_client_that_claims_nothing():
    clock = Clock()
    claims = Claims(wall=clock)
    send(claims, 5)
    old, parents = claims.client, claims.stamp(4)
    clock.now += 7
    claims.renew()
    assert claims.client != old
    assert claims.report() == []
    claims.sent(b"jobs:4|c\n" + parents, 4)
    send(claims, 1)
    assert said(claims.report())["vitald.client.claimed"] == 1
    assert said(claims.report())["vitald.client.started"] == 107.0


def test_a_stamp_fits_into_what_is_left_of_a_datagram():
    claims = Claims()
    left = claims.payload(1432)
    assert left + len(b"\n" + claims.stamp(10**10 - 1)) == 1432


def test_a_datagram_that_is_too_small_is_left_whole():
    assert Claims().payload(200) == 200


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("/srv/web/worker.py", "worker"),
        ("/usr/lib/python3/site-packages/my.app/__main__.py", "my_app"),
        ("C:\\app\\mail queue.exe", "mail_queue_exe"),
        ("-c", "c"),
        ("", "python"),
        ("/é|:,#\n", "python"),
        ("x" * 500, "x" * 32),
    ],
)
def test_a_client_is_named_by_program_process_and_chance(monkeypatch, argument, name):
    monkeypatch.setattr(sys, "argv", [argument])
    one, two = Claims().client, Claims().client
    assert re.fullmatch(rf"{name}-{os.getpid()}-[0-9a-f]{{6}}", one)
    assert one != two


@pytest.mark.parametrize("arguments", [[], None])
def test_a_program_without_arguments_is_python(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", arguments)
    assert Claims().client.startswith("python-")


def test_the_accounting_imports_nothing_but_itself():
    script = (
        "import sys, vitald.client.client; before = set(sys.modules);"
        "import vitald.client.claims; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert set(done.stdout.split()) == {"vitald.client.claims", "vitald.wire.claims"}
