"""Traffic that nobody should send: one generator, driven by a test framework or by a seed.

Every choice is `choose(options)`: Hypothesis' `sampled_from`, which shrinks what it finds, or
`random.Random.choice`, which is fast enough for a lot.
"""

from __future__ import annotations

from typing import NamedTuple

from engines import START

from vitald.aggregator.selector import Selector
from vitald.metric import MetricType
from vitald.wire.dialect import Dialect

DIALECTS = (
    Dialect(),
    Dialect(gauge_sign="absolute"),
    Dialect(tag_formats=frozenset({"graphite", "influx", "librato", "signalfx"})),
    Dialect(tag_formats=frozenset(), name_length=8, tags=2),
)
LABELS = ("udp", "udp", "udp", "unixgram", "internal")
WINDOWS = (1.0, 5.0, 30.0, 60.0, 600.0)  # levels of 1, 5 and 20 s

SELECTORS = (
    Selector(),
    Selector(names=["a"]),
    Selector(names=["a*", "?", "nobody"]),
    Selector(names=["[!a-f]*", "vitald.*"]),
    Selector(tags=[("x", "1")]),
    Selector(tags=[("x", "*"), ("y", "[0-9]")]),
    Selector(types=[MetricType.GAUGE, MetricType.TIMER]),
    Selector(names=["*"], tags=[("overflow", "true")], types=[MetricType.COUNTER]),
)

TAGS = (b"x:1", b"x:2", b"y:1", b"y:2", b"bare", b"", b":z", b"x:", "k:\u00e9".encode(), b"z:a:b")
RATES = (b"1", b"0.5", b"0.1", b"0.3", b"1e-3", b"1e-9", b"0", b"2", b"x", b"+0.25")
TYPES = (b"c", b"c", b"c", b"g", b"g", b"ms", b"ms", b"h", b"d", b"s", b"s", b"m", b"q", b"")

WHOLE_LINES = (
    b"", b"\r", b"a", b"a:1|c\r", b":1|c", b"a:|c", b"a::1|c", b"a:1|c:2|g", b"a:1|c|@0.5:2|g",
    b"a:1:2:3|ms|@0.1", b"a:1:x|c", b"g:1:+2:-3|g", b"s:\xff|s", b"\xff:1|c", b"a\x00:1|c",
    b"a:1|c|zz", b"a:1|c|c:ci|e:x|card:low", b"_foo:1|c", b"_e{1,1}:a|b", b"_e{5,4}:title|text",
    b"_e{2,3}:\xc3\xa9|a|b|d:5|h:w|k:g|p:low|s:src|t:error|#x:1", b"_e{0,0}:|", b"_e{1,9}:a|b",
    b"_sc|db|0", b"_sc|db|2|d:7|h:w|#y:2|m:gone | away", b"_sc|db|9", b"_sc||1",
    b"vitald.client.dropped:3|c|#reason:refused", b"vitald.client.dropped:2|c",
    b"vitald.overflow:1|c", b"a:1|c|#overflow:true", b"s:" + b"m" * 70 + b"|s",
    b"n" * 300 + b":1|c", b"a:1|c|#" + b",".join(b"t%d:1" % at for at in range(40)),
)  # fmt: skip


class Vocabulary(NamedTuple):
    """What lines are made of; fewer words meet more often."""

    names: tuple[bytes, ...]
    values: tuple[bytes, ...]


SMALL = Vocabulary(
    (
        b"a", b"a", b"b", b"g", b"t", b"s", "\u00e9".encode(), b"f;x=1", b"f,x=1", b"f#x=1",
        b"f[x=1]b", b"longer.than.eight", b"",
    ),
    (
        b"1", b"2", b"5", b"0", b"-1", b"+2", b"0.5", b"-3.25", b"12.5", b"1e3", b"48213",
        b"20.086", b".5", b"5.", b"1e-320", b"3e15", b"9007199254740993", b"x", b"nan",
        b"1_0", b"", b" 1", b"1:2", b"1:+2:3",
    ),
)  # fmt: skip

# Sums of these leave what a double can hold.
HUGE = SMALL._replace(values=(*SMALL.values, b"1.7e308", b"-1.7e308", b"+1.7e308", b"1e400"))


class Ingest(NamedTuple):
    """One datagram."""

    data: bytes
    label: str = "udp"
    cut: bool = False
    dialect: Dialect = DIALECTS[0]


class Tick(NamedTuple):
    """The end of an interval of `length` seconds, over which the wall clock was stepped."""

    length: float = 1.0
    jump: float = 0.0


class Ask(NamedTuple):
    """A question."""

    window: float
    selector: Selector = Selector()


class Tidy(NamedTuple):
    """A turn of what `rotate` may have left undone."""


def line(choose, words, now=START):
    """Return one line, most of them good. `now` is the wall time that timestamps are about."""
    if choose(range(6)) == 0:
        return choose(WHOLE_LINES)
    fields = [choose(words.values), choose(TYPES)]
    for kind in choose(("", "", "", "@", "#", "##", "#@", "@#", "T", "T", "T#")):
        if kind == "@":
            fields.append(b"@" + choose(RATES))
        elif kind == "T":
            age = choose((0, 0, 1, 1, 2, 3, 8, 21, 45, 130, 700, 10**9, -1, -20))
            fields.append(b"T%d" % max(0, int(now) - age))
        else:
            fields.append(b"#" + b",".join(choose(TAGS) for _ in range(choose((1, 2, 3)))))
    made = choose(words.names) + b":" + b"|".join(fields)
    return mutated(choose, made) if choose(range(15)) == 0 else made


def mutated(choose, made):
    """Return a line with one to three of its bytes lost, doubled or turned into something else."""
    for _ in range(choose((1, 1, 2, 3))):
        at = choose(range(len(made) + 1))
        noise = choose(
            (b"", b"", b"|", b":", b"@", b"#", b",", b"\n", b"\r", b"\xc3", b"\x7f", b"-")
        )
        made = made[:at] + noise + made[at + choose((0, 1, 1, 2)) :]
    return made


def story(choose, steps, words=SMALL, most_lines=(0, 1, 2, 5, 12)):
    """Return what happens to an engine, in order."""
    now, told = START, []
    for _ in range(steps):
        kind = choose(range(10))
        if kind < 5:
            lines = [line(choose, words, now) for _ in range(choose(most_lines))]
            data = b"\n".join([*lines, *choose(((), (), (b"",)))])
            told.append(Ingest(data, choose(LABELS), choose(range(10)) == 0, choose(DIALECTS)))
        elif kind < 8:
            length = choose(_LENGTHS)
            for _ in range(choose((1, 1, 1, 1, 2, 7, 25))):
                tick = Tick(length, choose(_JUMPS))
                now += tick.length + tick.jump
                told.append(tick)
        else:
            told.append(Ask(choose(WINDOWS), choose(SELECTORS)) if kind == 8 else Tidy())
    return told


# A suspended machine makes the longest: some of them, and what was idle is forgotten.
_LENGTHS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 1.5, 7.0, 150.0)
_JUMPS = (0.0,) * 12 + (-300.0, -5.0, -0.25, 0.25, 5.0, 300.0)
