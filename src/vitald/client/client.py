"""The client of a service: record and go on.

No verb raises, waits, sends or looks a name up: it appends to a list, and one background thread
sends. What was dropped is in `Client.stats()` and goes out as `vitald.client.dropped{reason}`.
"""

from __future__ import annotations

import os

from vitald.client import lifecycle
from vitald.client.flusher import Flusher
from vitald.client.handles import (
    Counter,
    Distribution,
    Gauge,
    Histogram,
    SampledCounter,
    Set,
    Timer,
)
from vitald.client.lines import LineVerbs
from vitald.client.registry import Registry, spelling
from vitald.client.samples import LineSeries
from vitald.client.tags import canonical
from vitald.client.target import at, from_environment, parse_url
from vitald.client.transport import open_transport
from vitald.client.values import Delta, member_text, negative
from vitald.wire.encode import clean_name

TYPE_CHECKING = False
if not TYPE_CHECKING:

    def overload(function):  # noqa: ANN001, ANN201  the import of `typing` costs more than ours
        return function


if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, overload  # noqa: TC004  see above

    from typing_extensions import Self

    from vitald.client.outbox import Accounting
    from vitald.client.series import Owner, Series
    from vitald.client.tags import TagsLike
    from vitald.client.target import Target

_MISSING: Any = object()

# A process that ends sooner (seconds) is not worth series of its own in the sidecar.
_QUIET = 10.0


class Client(LineVerbs):
    """Sends metrics to one target.

    The target is `url` (udp://host:port, unixgram:///path, unix:///path, tcp://host:port), or
    `host` and `port` (UDP), or what the environment says: VITALD_URL, STATSD_HOST and STATSD_PORT,
    DD_DOGSTATSD_URL, DD_AGENT_HOST and DD_DOGSTATSD_PORT, else localhost:8125. `prefix`
    (STATSD_PREFIX) is put before every name, and `tags` are added to everything.

    Tags are a mapping, strings "key:value", or pairs. A verb's `rate` is the share of calls to
    record; totals are weighted by it. `gauge`, `set`, `histogram` and `distribution` return a
    handle when they are called without a value.

    Values are sent every `flush_interval` seconds, kept for `hold` seconds while nobody listens,
    and sent at `flush()`, `close()` and the end of the process. Counters, gauges and sets are
    summed up before; with `aggregate=False` every call is a line, in the order of the calls. With
    `packed=False` no line has more than one value, for servers that do not read `name:1:2|ms`.
    Series beyond `series_limit` are folded into `name{overflow=true}`. `accounting` tells a
    sidecar what it should have got; by itself it is on when VITALD_URL names the target.

    ValueError only from here, for a target that the arguments spell wrong.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        prefix: str | None = None,
        tags: TagsLike = None,
        flush_interval: float = 1.0,
        datagram_size: int | None = None,
        hold: float = 60.0,
        aggregate: bool = True,
        packed: bool = True,
        series_limit: int = 10_000,
        accounting: bool | None = None,
    ) -> None:
        self.target, self._faults, is_vitald = _choose_target(url, host, port)
        prefix = os.environ.get("STATSD_PREFIX", "") if prefix is None else prefix
        self._prefix = clean_name(prefix).rstrip(".") + "." if prefix else ""
        self._tags = canonical(tags)
        self._flusher = Flusher(
            open_transport(self.target),
            interval=max(0.01, flush_interval),
            size=max(64, min(datagram_size or self.target.datagram_size, 65507)),
            hold=hold,
            tags=self._tags,
            lines=LineSeries if aggregate else _exact_stream(),
            accounting=_accounting(accounting, is_vitald=is_vitald),
        )
        registry = Registry(
            self._flusher,
            self._prefix,
            self._tags,
            aggregate=aggregate,
            packed=packed,
            series_limit=series_limit,
        )
        self._record, self._bind = registry.record, registry.bind
        # The verbs look here first, for a call they have seen before.
        caches = registry.caches
        self._counters, self._gauges, self._sets = caches["c"], caches["g"], caches["s"]
        self._timers, self._histograms = caches["ms"], caches["h"]
        self._distributions = caches["d"]
        lifecycle.watch(self._flusher)

    # Counters. `vitald.client.series` says why the same four lines stand in every verb.

    def incr(
        self,
        name: str,
        count: float = 1,
        rate: float = 1,
        *,
        tags: TagsLike = None,
        timestamp: float | None = None,
    ) -> None:
        """Add `count` to a counter; with a `timestamp` (Unix seconds), at that time."""
        series = None
        try:
            if rate == 1 and timestamp is None:
                series = self._counters[name if tags is None else spelling(name, tags)]
        except Exception:  # noqa: S110  a new name, or arguments that the next lines count
            pass
        if series is not None:
            buffer = series.buffer
            buffer.append(count)
            if len(buffer) > series.limit:
                series.relieve()
            return
        if timestamp is None:
            self._record("c", name, count, rate, tags)
        else:
            self._record_at(timestamp, "c", name, count, rate=rate, tags=tags)

    def decr(self, name: str, count: float = 1, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Subtract `count` from a counter."""
        self.incr(name, negative(count), rate, tags=tags)

    def counter(
        self, name: str, rate: float = 1, *, tags: TagsLike = None, **labels: object
    ) -> Counter:
        """Return a counter's handle; `labels` are tags too, here and in the other handles."""
        series, rate, weight = self._bind("c", name, rate, tags, labels)
        return Counter(series) if rate == 1 else SampledCounter(series, rate, weight)

    # Gauges and sets.

    @overload
    def gauge(
        self,
        name: str,
        value: float,
        /,
        rate: float = ...,
        delta: bool = ...,
        *,
        tags: TagsLike = ...,
        timestamp: float | None = ...,
    ) -> None: ...
    @overload
    def gauge(self, name: str, *, tags: TagsLike = ..., **labels: object) -> Gauge: ...
    def gauge(
        self,
        name: str,
        value: Any = _MISSING,
        rate: Any = 1,  # noqa: ARG002  `statsd` has it; the last value wins, so none is sampled
        delta: Any = False,
        *,
        tags: TagsLike = None,
        timestamp: Any = None,
        **labels: object,
    ) -> Gauge | None:
        """Set a gauge, or with `delta` move it by `value`; without a value, return its handle.

        With a `timestamp` (Unix seconds), at that time.
        """
        if value is _MISSING:
            if timestamp is not None:
                labels["timestamp"] = timestamp
            return Gauge(self._bind("g", name, 1, tags, labels)[0])
        if delta:
            value = Delta((value,))
        series = None
        try:
            if timestamp is None and not labels:
                series = self._gauges[name if tags is None else spelling(name, tags)]
        except Exception:  # noqa: S110  a new name, or arguments that the next lines count
            pass
        if series is not None:
            buffer = series.buffer
            buffer.append(value)
            if len(buffer) > series.limit:
                series.relieve()
            return None
        if timestamp is None:
            self._record("g", name, value, 1, tags, labels=labels)
        else:
            self._record_at(timestamp, "g", name, value, tags=tags, labels=labels)
        return None

    @overload
    def set(
        self, name: str, value: object, /, rate: float = ..., *, tags: TagsLike = ...
    ) -> None: ...
    @overload
    def set(self, name: str, *, tags: TagsLike = ..., **labels: object) -> Set: ...
    def set(
        self,
        name: str,
        value: Any = _MISSING,
        rate: Any = 1,  # noqa: ARG002  `statsd` has it; a sampled set would count wrong
        *,
        tags: TagsLike = None,
        **labels: object,
    ) -> Set | None:
        """Add a member to a set; without one, return its handle."""
        if value is _MISSING:
            return Set(self._bind("s", name, 1, tags, labels)[0])
        self._add(self._sets, "s", name, member_text(value), 1, tags, labels)
        return None

    # Samples.

    def timing(
        self, name: str, delta: float | timedelta, rate: float = 1, *, tags: TagsLike = None
    ) -> None:
        """Add a duration, in milliseconds or as a timedelta."""
        series = None
        try:
            if rate == 1:
                series = self._timers[name if tags is None else spelling(name, tags)]
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        if series is not None:
            buffer = series.buffer
            buffer.append(delta)
            if len(buffer) > series.limit:
                series.relieve()
            return
        self._record("ms", name, delta, rate, tags)

    def timer(
        self, name: str, rate: float = 1, *, tags: TagsLike = None, **labels: object
    ) -> Timer:
        """Return a timer: a handle, a `with` and `async with` block, and a decorator."""
        try:
            if rate == 1 and tags is None and not labels:
                return Timer(self._timers[name], 1)
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        return Timer(*self._bind("ms", name, rate, tags, labels)[:2])

    @overload
    def histogram(
        self, name: str, value: float, /, rate: float = ..., *, tags: TagsLike = ...
    ) -> None: ...
    @overload
    def histogram(
        self, name: str, *, rate: float = ..., tags: TagsLike = ..., **labels: object
    ) -> Histogram: ...
    def histogram(
        self,
        name: str,
        value: Any = _MISSING,
        rate: float = 1,
        *,
        tags: TagsLike = None,
        **labels: object,
    ) -> Histogram | None:
        """Add a sample of type `h`; without a value, return the handle."""
        if value is _MISSING:
            return Histogram(*self._bind("h", name, rate, tags, labels)[:2])
        self._add(self._histograms, "h", name, value, rate, tags, labels)
        return None

    @overload
    def distribution(
        self, name: str, value: float, /, rate: float = ..., *, tags: TagsLike = ...
    ) -> None: ...
    @overload
    def distribution(
        self, name: str, *, rate: float = ..., tags: TagsLike = ..., **labels: object
    ) -> Distribution: ...
    def distribution(
        self,
        name: str,
        value: Any = _MISSING,
        rate: float = 1,
        *,
        tags: TagsLike = None,
        **labels: object,
    ) -> Distribution | None:
        """Add a sample of type `d`; without a value, return the handle."""
        if value is _MISSING:
            return Distribution(*self._bind("d", name, rate, tags, labels)[:2])
        self._add(self._distributions, "d", name, value, rate, tags, labels)
        return None

    def _add(  # noqa: PLR0917  keywords would cost as much again
        self,
        cache: dict[Any, Series],
        kind: str,
        name: str,
        value: Any,
        rate: float,
        tags: TagsLike,
        labels: dict[str, object] | None,
    ) -> None:
        series = None
        try:
            if rate == 1 and not labels:
                series = cache[name if tags is None else spelling(name, tags)]
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        if series is not None:
            buffer = series.buffer
            buffer.append(value)
            if len(buffer) > series.limit:
                series.relieve()
            return
        self._record(kind, name, value, rate, tags, labels=labels)

    # The client itself.

    def flush(self, timeout: float = 2.0) -> bool:
        """Send everything recorded so far; return whether the kernel has taken all of it.

        Waits at most `timeout` seconds.
        """
        return self._flusher.flush(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Flush, and end the client's thread and socket; what is recorded later is dropped."""
        lifecycle.unwatch(self._flusher)
        return self._flusher.close(timeout)

    def stats(self) -> dict[str, Any]:
        """Return what became of the values: `sent`, `waiting`, `dropped` by reason, in calls.

        Also `target`, `error` (why it cannot be reached, or ""), `series`, `flushes`, `datagrams`,
        `bytes`, and `faults`: the variables of the environment that could not be used. `overflowed`
        are the calls whose series was beyond the limit, and `offenders` the names with the most
        series then.
        """
        return {
            "target": str(self.target),
            "faults": list(self._faults),
            **self._flusher.stats(),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self.target)!r})"


def _choose_target(
    url: str | None, host: str | None, port: int | None
) -> tuple[Target, list[str], bool]:
    """Return the target, the faults of the environment, and whether VITALD_URL named it."""
    if url is not None:
        if host is not None or port is not None:
            raise ValueError(f"cannot use target {url!r}: host or port is given beside it")
        return parse_url(url), [], False
    if host is not None or port is not None:
        return at(host or "", port), [], False
    target, faults = from_environment(os.environ)
    # It is read first, so a fault may be its own.
    return target, faults, bool(os.environ.get("VITALD_URL")) and not faults


def _exact_stream() -> Callable[[Owner, object], Series]:
    from vitald.client.exact import ExactStream  # noqa: PLC0415  most clients sum up

    return ExactStream


def _accounting(wanted: bool | None, *, is_vitald: bool) -> Accounting | None:
    """Return what tells the sidecar of losses; other servers would only get more series."""
    if not (is_vitald if wanted is None else wanted):
        return None
    from vitald.client.claims import Claims  # noqa: PLC0415  few clients need it

    return Claims(quiet=0.0 if wanted else _QUIET)
