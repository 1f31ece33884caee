"""Datadog's API: what is posted, as bytes. Limits and fields are those of its API reference.

    /api/v2/series      {"series": [...]}, at most 512,000 B compressed and 5,242,880 B raw
    /api/v1/check_run   [...], no check older than ten minutes
    /api/v1/events      one event a request

What cannot be sent is counted.
"""

from __future__ import annotations

import json
import zlib
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

import cramjam

from vitald.aggregator.forwarders.summary import datadog_values
from vitald.metric import MetricType

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vitald.aggregator.interval import Row
    from vitald.metric import Event, ServiceCheck, Tags

Compression = Literal["deflate", "zstd"]

LARGEST_RAW = 5_242_880
LARGEST_COMPRESSED = 512_000
OLDEST_CHECK = 600
MOST_CHECKS = 500
LONGEST_TITLE = 500
LONGEST_TEXT = 4000
LONGEST_KEY = 100
LONGEST_MESSAGE = 500

# Type codes of /api/v2/series.
RATE = 2
GAUGE = 3

_OPENING, _CLOSING = b'{"series":[', b"]}"
_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Payload(NamedTuple):
    """One request of `items` things; after `expires` (Unix seconds) the intake would refuse it."""

    path: str
    body: bytes
    encoding: str | None = None
    expires: float | None = None
    items: int = 1


class Origin(NamedTuple):
    """Whose data it is: the host, and tags for everything."""

    host: str
    tags: Sequence[str] = ()

    def of(self, tags: Tags) -> tuple[str, list[str]]:
        """Return host and tags of one series; a tag `host` names another host, as in the Agent."""
        host = dict(tags).get("host", self.host)
        own = [f"{key}:{value}" if value else key for key, value in tags if key != "host"]
        return host, [*own, *self.tags]


def encode_series(
    rows: Iterable[Row],
    timestamp: int,
    seconds: float,
    origin: Origin,
    *,
    percentiles: Sequence[float],
    skipped: Counter[str],
) -> Iterator[bytes]:
    """Yield one JSON object per series.

    Counters, and `count` of sampled series, are rates with their interval, as the Agent sends
    them. The rate is taken over the whole seconds that are declared as the interval, because the
    server multiplies it by those to get the count back.
    """
    interval = max(1, round(seconds))
    for row in rows:
        host, tags = origin.of(row.tags)
        for suffix, value in _values(row, percentiles):
            is_rate = suffix == ".count" or row.type is MetricType.COUNTER
            amount = value / interval if is_rate else value
            if not isfinite(amount):
                skipped["not_finite"] += 1
                continue
            series: dict[str, object] = {
                "metric": row.name + suffix,
                "type": RATE if is_rate else GAUGE,
                "points": [{"timestamp": timestamp, "value": amount}],
                "tags": tags,
            }
            if is_rate:
                series["interval"] = interval
            if host:
                series["resources"] = [{"name": host, "type": "host"}]
            yield _dump(series).encode()


def _values(row: Row, percentiles: Sequence[float]) -> list[tuple[str, float]]:
    if row.histogram is not None:
        return [(f".{name}", value) for name, value in datadog_values(row.histogram, percentiles)]
    if row.type is MetricType.COUNTER:
        return [("", row.sum)]
    # A gauge or a set that was not written in the interval says nothing about it.
    value = row.last if row.type is MetricType.GAUGE else row.unique
    return [("", float(value))] if value is not None and row.count else []


def pack_series(
    series: Iterable[bytes],
    compression: Compression,
    skipped: Counter[str],
    *,
    raw: int = LARGEST_RAW,
    compressed: int = LARGEST_COMPRESSED,
) -> Iterator[Payload]:
    """Yield payloads within both limits; a series too large for one by itself is skipped."""
    pieces: list[bytes] = []
    size = empty = len(_OPENING) + len(_CLOSING)
    for piece in series:
        if size + len(piece) + 1 > raw and pieces:
            yield from _fitting(pieces, compression, compressed, skipped)
            pieces, size = [], empty
        if size + len(piece) > raw:
            skipped["too_large"] += 1
            continue
        pieces.append(piece)
        size += len(piece) + 1
    if pieces:
        yield from _fitting(pieces, compression, compressed, skipped)


def _fitting(
    pieces: list[bytes], compression: Compression, limit: int, skipped: Counter[str]
) -> Iterator[Payload]:
    encoding, compress = _COMPRESSIONS[compression]
    body = compress(_OPENING + b",".join(pieces) + _CLOSING)
    if len(body) <= limit:
        yield Payload("/api/v2/series", body, encoding, items=len(pieces))
    elif len(pieces) == 1:
        skipped["too_large"] += 1
    else:
        half = len(pieces) // 2
        yield from _fitting(pieces[:half], compression, limit, skipped)
        yield from _fitting(pieces[half:], compression, limit, skipped)


def encode_checks(
    checks: Iterable[ServiceCheck],
    timestamp: int,
    origin: Origin,
    *,
    now: float,
    skipped: Counter[str],
) -> Iterator[Payload]:
    """Yield requests of service checks; one that the intake would refuse as too old is skipped."""
    stamped = [(timestamp if c.timestamp is None else c.timestamp, c) for c in checks]
    fresh = iter([(when, check) for when, check in stamped if when >= now - OLDEST_CHECK])
    while batch := list(islice(fresh, MOST_CHECKS)):
        body = _dump([_check(check, when, origin) for when, check in batch])
        expires = min(when for when, _ in batch) + OLDEST_CHECK
        yield Payload("/api/v1/check_run", body.encode(), expires=expires, items=len(batch))
    stale = sum(when < now - OLDEST_CHECK for when, _ in stamped)
    if stale:
        skipped["too_old"] += stale


def _check(check: ServiceCheck, when: int, origin: Origin) -> dict[str, object]:
    host, tags = origin.of(check.tags)
    return {
        "check": check.name,
        "host_name": check.host or host,
        "status": check.status,
        "timestamp": when,
        "message": check.message[:LONGEST_MESSAGE],
        "tags": tags,
    }


def encode_event(event: Event, timestamp: int, origin: Origin) -> Payload:
    """Return the request for one event; what is longer than the intake shows is cut."""
    host, tags = origin.of(event.tags)
    fields: dict[str, object] = {
        "title": event.title[:LONGEST_TITLE],
        "text": event.text[:LONGEST_TEXT],
        "date_happened": timestamp if event.timestamp is None else event.timestamp,
        "host": event.host or host,
        "priority": event.priority,
        "alert_type": event.alert_type,
        "aggregation_key": event.aggregation_key[:LONGEST_KEY],
        "source_type_name": event.source_type,
        "tags": tags,
    }
    document = {key: value for key, value in fields.items() if value or key == "text"}
    return Payload("/api/v1/events", _dump(document).encode())


def _zstd(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


# Content-Encoding as the API reference spells it.
_COMPRESSIONS: dict[Compression, tuple[str, Callable[[bytes], bytes]]] = {
    "deflate": ("deflate", zlib.compress),
    "zstd": ("zstd1", _zstd),
}
