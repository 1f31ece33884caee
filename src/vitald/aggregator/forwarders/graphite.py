"""Graphite: carbon's line protocol and its pickle protocol, over TCP."""

from __future__ import annotations

import pickle
import struct
from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from vitald.aggregator.documents import number
from vitald.aggregator.forwarders.delivery import each_off_loop, seconds_of, timestamp_of
from vitald.aggregator.forwarders.endpoint import parse_endpoint
from vitald.aggregator.forwarders.graphite_names import (
    PERCENTILES,
    REPEATING,
    Naming,
    Profile,
    clean_name,
    prefix_of,
)
from vitald.aggregator.forwarders.stream import deliver
from vitald.config.options import ForwarderOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vitald.aggregator.interval import Interval, Row

Protocol = Literal["plaintext", "pickle"]
Point = tuple[str, float]

# Carbon's line receiver closes the connection over a longer line (twisted's LineOnlyReceiver).
LONGEST_LINE = 16_384
# Carbon's own relay sends messages of this many points; its receiver takes at most 1 MiB.
MOST_POINTS = 500
LARGEST_MESSAGE = 2**20 - 1
# An upper bound on what pickle protocol 2 adds to a path for one (path, (timestamp, value)).
_PICKLED_POINT = 64
_PORTS: dict[Protocol, int] = {"plaintext": 2003, "pickle": 2004}


def encode_points(
    rows: Iterable[Row], naming: Naming, seconds: float, skipped: Counter[str]
) -> Iterator[Point]:
    """Yield (path, finite value); what cannot be expressed is counted in `skipped`."""
    for row in rows:
        name = clean_name(row.name)
        if not name:
            skipped["unusable_name"] += 1
            continue
        for path, value in naming.points(name, row, seconds):
            if isfinite(value):
                yield path, value
            else:
                skipped["not_finite"] += 1


def encode_plaintext(points: Iterable[Point], timestamp: int, skipped: Counter[str]) -> bytes:
    r"""Return `path value timestamp\n` for every point."""
    lines = []
    for path, value in points:
        line = f"{path} {number(value)} {timestamp}\n".encode("utf-8", "replace")
        if len(line) <= LONGEST_LINE:
            lines.append(line)
        else:
            skipped["too_long"] += 1
    return b"".join(lines)


def encode_pickle(points: Iterable[Point], timestamp: int, skipped: Counter[str]) -> bytes:
    """Return pickled lists of (path, (timestamp, value)), each behind its length."""
    messages = []
    message: list[tuple[str, tuple[int, float]]] = []
    size = 0
    for path, value in points:
        cost = len(path.encode("utf-8", "replace")) + _PICKLED_POINT
        if cost > LONGEST_LINE:
            skipped["too_long"] += 1
            continue
        if len(message) == MOST_POINTS or size + cost > LARGEST_MESSAGE:
            messages.append(_framed(message))
            message, size = [], 0
        message.append((path, (timestamp, value)))
        size += cost
    if message:
        messages.append(_framed(message))
    return b"".join(messages)


def _framed(message: list[tuple[str, tuple[int, float]]]) -> bytes:
    body = pickle.dumps(message, protocol=2)
    return struct.pack("!L", len(body)) + body


class GraphiteForwarder:
    """Sends to carbon, or to anything that speaks its protocols.

    A point that is sent again replaces itself, so an interval that may have arrived in part is
    simply sent again whole. Events and service checks have no form here and are not sent.
    """

    class Options(ForwarderOptions):
        """Options of `type: graphite`."""

        url: str = Field(
            default="tcp://127.0.0.1",
            description="`tcp://host:port` of carbon; the port defaults to 2003, for pickle 2004.",
        )
        protocol: Protocol = Field(
            default="plaintext", description="`plaintext` (lines) or `pickle`."
        )
        profile: Profile = Field(
            default="statsd",
            description="Names and numbers: `statsd` (the reference server's), `statsd_legacy` (its"
            " older namespace), `datadog` (the Agent's) or `native` (those of `vitald metrics`).",
        )
        prefix: str | None = Field(
            default=None,
            description="First part of every name; `{host}` is replaced. Default: `stats` for the"
            " statsd profiles, else nothing.",
        )
        tags: bool = Field(
            default=True,
            description="Send tags as `;key=value` (carbon 1.1 and later); off folds them into the"
            " name.",
        )
        host_tag: bool = Field(default=False, description="Add the tag `host` to every series.")
        percentiles: tuple[float, ...] | None = Field(
            default=None,
            description="Percentiles of timers, e.g. `[50, 99.9]`; in the statsd profiles a"
            " negative one stands for the top. Default: the profile's own.",
        )

        @field_validator("url")
        @classmethod
        def _url(cls, value: str) -> str:
            parse_endpoint(value, {"tcp": 0})
            return value

        @field_validator("percentiles")
        @classmethod
        def _percentiles(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
            if any(not 0 < abs(percentile) < 100 for percentile in value or ()):
                raise ValueError("must be between 0 and 100, or between -100 and 0")
            return value

    def __init__(
        self,
        *,
        host: str,
        url: str = "tcp://127.0.0.1",
        protocol: Protocol = "plaintext",
        profile: Profile = "statsd",
        prefix: str | None = None,
        tags: bool = True,
        host_tag: bool = False,
        percentiles: Sequence[float] | None = None,
    ) -> None:
        if prefix is None:
            prefix = "stats" if profile in REPEATING else ""
        self.skipped: Counter[str] = Counter()
        self._endpoint = parse_endpoint(url, {"tcp": _PORTS[protocol]})
        self._encode = encode_pickle if protocol == "pickle" else encode_plaintext
        self._repeats = profile in REPEATING
        self._naming = Naming(
            profile,
            prefix_of(prefix, host),
            tags,
            PERCENTILES[profile] if percentiles is None else percentiles,
            (("host", host),) if host_tag else (),
        )

    async def send(self, interval: Interval) -> None:
        """Deliver one interval; returns when carbon has read all of it."""
        skipped: Counter[str] = Counter()
        await deliver(self._endpoint, each_off_loop(self._chunks(interval, skipped)))
        self.skipped.update(skipped)

    def _chunks(self, interval: Interval, skipped: Counter[str]) -> Iterator[bytes]:
        seconds = seconds_of(interval)
        timestamp = timestamp_of(interval)
        for batch in interval.rows(idle=self._repeats):
            points = encode_points(batch, self._naming, seconds, skipped)
            yield self._encode(points, timestamp, skipped)
