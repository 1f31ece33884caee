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
    Set,
    Timer,
    member_text,
    negative,
)
from vitald.client.registry import Registry
from vitald.client.series import Delta
from vitald.client.tags import canonical
from vitald.client.target import at, from_environment, parse_url
from vitald.client.transport import open_transport
from vitald.wire.encode import clean_name, event_line, service_check_line

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

    from vitald.client.tags import TagsLike
    from vitald.client.target import Target

_MISSING: Any = object()


class Client:
    """Sends metrics to one target.

    The target is `url` (udp://host:port, unixgram:///path, unix:///path, tcp://host:port), or
    `host` and `port` (UDP), or what the environment says: VITALD_URL, STATSD_HOST and STATSD_PORT,
    DD_DOGSTATSD_URL, DD_AGENT_HOST and DD_DOGSTATSD_PORT, else localhost:8125. `prefix`
    (STATSD_PREFIX) is put before every name, and `tags` are added to everything.

    Tags are a mapping, or strings "key:value". A verb's `rate` is the share of calls to record;
    totals are weighted by it. `gauge`, `set`, `histogram` and `distribution` return a handle when
    they are called without a value.

    Values are sent every `flush_interval` seconds, kept for `hold` seconds while nobody listens,
    and sent at `flush()`, `close()` and the end of the process. ValueError only from here, for a
    target that the arguments spell wrong.
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
    ) -> None:
        self.target, self._faults = _choose_target(url, host, port)
        prefix = os.environ.get("STATSD_PREFIX", "") if prefix is None else prefix
        self._prefix = clean_name(prefix).rstrip(".") + "." if prefix else ""
        self._tags = canonical(tags)
        self._flusher = Flusher(
            open_transport(self.target),
            interval=max(0.01, flush_interval),
            size=max(64, min(datagram_size or self.target.datagram_size, 65507)),
            hold=hold,
            tags=self._tags,
        )
        registry = Registry(self._flusher, self._prefix, self._tags)
        self._record, self._bind = registry.record, registry.bind
        # The verbs without tags look here first.
        self._counters, self._gauges = registry.caches["c"], registry.caches["g"]
        self._timers = registry.caches["ms"]
        lifecycle.watch(self._flusher)

    # Counters.

    def incr(self, name: str, count: float = 1, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Add `count` to a counter."""
        try:
            if rate == 1 and tags is None:
                self._counters[name].record(count)
                return
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        self._record("c", name, count, rate, tags)

    def decr(self, name: str, count: float = 1, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Subtract `count` from a counter."""
        self.incr(name, negative(count), rate, tags=tags)

    def counter(
        self, name: str, rate: float = 1, *, tags: TagsLike = None, **labels: object
    ) -> Counter:
        """Return a counter's handle; `labels` are tags too, here and in the other handles."""
        return Counter(*self._bind("c", name, rate, tags, labels))

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
        **labels: object,
    ) -> Gauge | None:
        """Set a gauge, or with `delta` move it by `value`; without a value, return its handle."""
        if value is _MISSING:
            return Gauge(self._bind("g", name, 1, tags, labels)[0])
        if delta:
            value = Delta((value,))
        try:
            if tags is None and not labels:
                self._gauges[name].record(value)
                return None
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        self._record("g", name, value, 1, tags, labels=labels)
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
        self._record("s", name, member_text(value), 1, tags, labels=labels)
        return None

    # Samples.

    def timing(
        self, name: str, delta: float | timedelta, rate: float = 1, *, tags: TagsLike = None
    ) -> None:
        """Add a duration, in milliseconds or as a timedelta."""
        try:
            if rate == 1 and tags is None:
                self._timers[name].record(delta)
                return
        except Exception:  # noqa: S110  a new name, or arguments that the next line counts
            pass
        self._record("ms", name, delta, rate, tags)

    def timer(
        self, name: str, rate: float = 1, *, tags: TagsLike = None, **labels: object
    ) -> Timer:
        """Return a timer: a handle, a `with` and `async with` block, and a decorator."""
        return Timer(*self._bind("ms", name, rate, tags, labels))

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
            return Histogram(*self._bind("h", name, rate, tags, labels))
        self._record("h", name, value, rate, tags, labels=labels)
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
            return Distribution(*self._bind("d", name, rate, tags, labels))
        self._record("d", name, value, rate, tags, labels=labels)
        return None

    # Events and service checks.

    def event(self, title: str, text: str = "", *, tags: TagsLike = None, **fields: Any) -> None:
        """Send an event.

        `fields`: timestamp (Unix seconds), host, aggregation_key, priority (normal, low),
        source_type, alert_type (info, success, warning, error).
        """
        self._send(event_line, title, text, tags, fields)

    def service_check(
        self, name: str, status: int, *, tags: TagsLike = None, **fields: Any
    ) -> None:
        """Send a service check; `status` is 0 healthy, 1 warning, 2 critical, 3 unknown.

        `fields`: message, host, timestamp (Unix seconds).
        """
        self._send(service_check_line, name, status, tags, fields)

    def _send(
        self,
        encode: Callable[..., str],
        first: str,
        second: object,
        tags: TagsLike,
        fields: dict[str, Any],
    ) -> None:
        try:
            line = encode(first, second, tags=canonical(tags, self._tags), **fields).encode()
        except Exception:  # the arguments are the caller's objects and may do anything
            self._flusher.drop("bad_argument")
        else:
            self._flusher.lines.record(line)

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
        `bytes`, and `faults`: the variables of the environment that could not be used.
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


def _choose_target(url: str | None, host: str | None, port: int | None) -> tuple[Target, list[str]]:
    if url is not None:
        if host is not None or port is not None:
            raise ValueError(f"cannot use target {url!r}: host or port is given beside it")
        return parse_url(url), []
    if host is not None or port is not None:
        return at(host or "", port), []
    return from_environment(os.environ)
