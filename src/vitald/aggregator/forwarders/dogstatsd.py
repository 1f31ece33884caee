"""Relay to a DogStatsD agent, or to anything that speaks DogStatsD 1.1 and later.

Counters, gauges and sets are one line each and carry the interval's time (`|T`). Samples are
relayed as what the histogram knows of them: one value for every occupied bucket, weighted by its
count through the sample rate, with the exact minimum and maximum. The cost depends on how wide the
values are spread and not on how many there were.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import chain
from math import ceil, nextafter
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from vitald.aggregator.forwarders.datagram import send_all
from vitald.aggregator.forwarders.delivery import Unsent, timestamp_of
from vitald.aggregator.forwarders.endpoint import parse_endpoint
from vitald.clock import SystemClock
from vitald.config.options import ForwarderOptions
from vitald.metric import Event, MetricType, ServiceCheck
from vitald.wire.encode import (
    MIN_RATE,
    event_line,
    frame,
    metric_line,
    number,
    service_check_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from vitald.aggregator.interval import Histogram, Interval, Row
    from vitald.clock import Clock

_PORTS: Mapping[str, int | None] = {"udp": 8125, "unixgram": None}
# What clients of the protocol put into one datagram; agents read 8 KiB at most by default.
_LARGEST = {"udp": 1432, "unixgram": 8192}
# Beyond this age, what cannot carry its time would be counted in a wrong interval.
LATE_AFTER = 60.0

_WORDS = {MetricType.TIMER: "ms", MetricType.HISTOGRAM: "h", MetricType.DISTRIBUTION: "d"}


def encode_row(row: Row, timestamp: int | None, largest: int) -> list[str]:
    """Return the lines of one row; packed values are cut into lines of at most `largest` bytes.

    A sign on a gauge is part of its value, as DogStatsD reads it. A set's members are not kept
    after sealing, so its cardinality is sent as a gauge: that is what an agent makes of a set.
    ValueError for a name or a value that has no form on the wire.
    """
    if row.histogram is not None:
        return list(_sampled_lines(row, row.histogram, largest))
    if row.type is MetricType.COUNTER:
        return [metric_line(row.name, number(row.sum), "c", tags=row.tags, timestamp=timestamp)]
    value = row.last if row.type is MetricType.GAUGE else row.unique
    if value is None or not row.count:
        return []
    return [metric_line(row.name, number(value), "g", tags=row.tags, timestamp=timestamp)]


def _sampled_lines(row: Row, sketch: Histogram, largest: int) -> Iterator[str]:
    groups: dict[float, list[str]] = {}
    for value, weight in weighted_values(sketch):
        groups.setdefault(weight, []).append(f"{value:.12g}")
    for weight, values in groups.items():
        before, after = frame(row.name, _WORDS[row.type], rate_of(weight), row.tags)
        room = largest - len((before + after).encode())
        packed = ""
        for text in values:
            if packed and len(packed) + 1 + len(text) > room:
                yield before + packed + after
                packed = ""
            packed = f"{packed}:{text}" if packed else text
        yield before + packed + after


def weighted_values(sketch: Histogram) -> Iterator[tuple[float, float]]:
    """Yield (value, weight) that stand for the samples; a weight is at most 1,000,000."""
    if not sketch.count:
        return
    low, high = sketch.min, sketch.max
    cells = [(min(max(value, low), high), weight) for value, weight in sketch.cells()]
    for end, extreme in ((0, low), (-1, high)) if low < high else ():
        value, weight = cells[end]
        if weight == 1:
            cells[end] = (extreme, weight)
        elif weight >= 2:
            # One sample of an outermost bucket is known. Less than a whole sample must not be
            # left over: no rate stands for a weight under 1.
            cells[end] = (value, weight - 1)
            yield extreme, 1.0
    most = 1 / MIN_RATE
    for value, weight in cells:
        times = ceil(weight / most)
        yield from ((value, weight / times) for _ in range(times))


def rate_of(weight: float) -> float:
    """Return the sample rate for a weight.

    Agents take the integer part of 1 / rate, so that must not fall below a whole weight.
    """
    rate = min(1.0, 1 / weight)
    while weight.is_integer() and int(1 / rate) < weight:
        rate = nextafter(rate, 0.0)
    return rate


def encode_extended(item: Event | ServiceCheck, timestamp: int) -> list[str]:
    """Return the line of an event or a service check; one without a time gets the interval's.

    ValueError for what has no form on the wire.
    """
    when = timestamp if item.timestamp is None else item.timestamp
    fields = item._replace(timestamp=when)._asdict()
    return [event_line(**fields) if isinstance(item, Event) else service_check_line(**fields)]


def pack(lines: Iterable[str], largest: int, skipped: Counter[str]) -> Iterator[bytes]:
    """Yield datagrams of whole lines, each at most `largest` bytes."""
    packed: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8", "replace")
        if len(data) > largest:
            skipped["too_long"] += 1
            continue
        if packed and size + len(data) > largest:
            yield b"\n".join(packed)
            packed, size = [], 0
        packed.append(data)
        size += len(data) + 1
    if packed:
        yield b"\n".join(packed)


class DogStatsdForwarder:
    """Relays to an agent; each datagram is sent once, also over retries."""

    class Options(ForwarderOptions):
        """Options of `type: dogstatsd`."""

        url: str = Field(
            default="udp://127.0.0.1",
            description="`udp://host:port` (port 8125 by default) or `unixgram:///path`.",
        )
        timestamps: bool = Field(
            default=True,
            description="Send counters and gauges with their time; agents before 7.40 ignore it.",
        )

        @field_validator("url")
        @classmethod
        def _url(cls, value: str) -> str:
            parse_endpoint(value, _PORTS)
            return value

    def __init__(
        self,
        *,
        host: str,  # noqa: ARG002 - every forwarder gets it; here the agent puts its own
        url: str = "udp://127.0.0.1",
        timestamps: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._endpoint = parse_endpoint(url, _PORTS)
        self._largest = _LARGEST[self._endpoint.scheme]
        self._timestamps = timestamps
        # Without its time a corrected total would be counted as a new one.
        self.takes_corrections = timestamps
        self._clock = clock or SystemClock()
        self._unsent: Unsent[bytes] = Unsent()

    async def send(self, interval: Interval) -> None:
        """Deliver one interval; returns when the kernel has every datagram."""
        skipped: Counter[str] = Counter()
        datagrams = await self._unsent.of(
            interval, lambda: pack(self._lines(interval, skipped), self._largest, skipped)
        )
        self.skipped.update(skipped)
        await send_all(self._endpoint, datagrams)

    def _lines(self, interval: Interval, skipped: Counter[str]) -> Iterator[str]:
        timestamp = timestamp_of(interval)
        is_late = self._clock.now().wall - interval.end > LATE_AFTER
        late = [] if self._timestamps else [list(interval.late)]
        # Idle counters are sent as 0: an agent fills no gaps of a counter that has its own time.
        for batch in chain(interval.rows(idle=True), late):
            for row in batch:
                if is_late and not (self._timestamps and row.histogram is None):
                    skipped["late"] += 1
                    continue
                stamp = timestamp if self._timestamps else None
                yield from _or_skip(partial(encode_row, row, stamp, self._largest), skipped)
        items: list[Event | ServiceCheck] = [*interval.events, *interval.service_checks]
        for item in items:
            yield from _or_skip(partial(encode_extended, item, timestamp), skipped)


def _or_skip(encode: Callable[[], list[str]], skipped: Counter[str]) -> list[str]:
    try:
        return encode()
    except ValueError:
        skipped["no_form"] += 1
        return []
