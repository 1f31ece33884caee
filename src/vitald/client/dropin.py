"""Subclasses of `statsd`'s clients that take tags and know DogStatsD's types.

They send as their parents do: at once, one call one packet (or through `pipeline()`), the same
bytes for the same call without tags. What is added: keyword-only `tags` on every verb;
`histogram`, `distribution`, `event`, `service_check`; timers that measure generators to their
end; names that are not ASCII. A wrong argument raises nothing: `dropped` counts what could not be
sent.

`StatsClient` (UDP) also looks names up in the background, and a call after `close()` raises
nothing. The stream clients raise OSError when the connection fails, as their parents do:
`vitald.Client("tcp://…")` is the one that never does.
"""

from __future__ import annotations

import os
import random
import socket
import time
from _thread import start_new_thread
from collections import deque

import statsd
from statsd.client.stream import StreamPipeline as _StreamPipeline
from statsd.client.timer import Timer as _Timer
from statsd.client.udp import Pipeline as _Pipeline

from vitald.client import texts
from vitald.client.tags import canonical
from vitald.client.timing import Span
from vitald.wire.encode import event_line, service_check_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any, TypeVar

    from vitald.client.tags import TagsLike

    F = TypeVar("F", bound=Callable[..., Any])

# The default size of a pipeline's packets, in bytes; it is `statsd`'s.
_PACKET = 512
# Packets kept while a host name is being looked up.
_WAITING = 1000
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 30.0

_names = texts.names


class Timer(_Timer):  # type: ignore[misc]  # statsd has no types
    """`statsd`'s timer with tags, and for generators too."""

    def __init__(self, client: Any, stat: str, rate: float = 1, tags: TagsLike = None) -> None:
        super().__init__(client, stat, rate)
        self.tags = tags
        self._sent: bool

    def __call__(self, f: F) -> F:
        """Measure every call of `f`."""
        return _TimerSpan(self)(f)

    def send(self) -> None:
        """Send the duration; RuntimeError before there is one and after it was sent."""
        if self.tags is None or self.ms is None or self._sent:
            super().send()
        else:
            self._sent = True
            self.client.timing(self.stat, self.ms, self.rate, tags=self.tags)


class _TimerSpan(Span):
    """What a decorated function's calls are measured with: a timer's own state is for one."""

    __slots__ = ("_timer",)

    def __init__(self, timer: Timer) -> None:
        super().__init__()
        self._timer = timer

    def end(self, start: int, error: BaseException | None) -> None:  # noqa: ARG002  all count
        timer = self._timer
        milliseconds = (time.perf_counter_ns() - start) / 1e6
        timer.client.timing(timer.stat, milliseconds, timer.rate, tags=timer.tags)


class _Tagged:
    """The verbs, for clients and pipelines alike; what they need is in `statsd`'s base class."""

    dropped: int = 0
    pipeline: Callable[[], Any]
    _prefix: str | None
    _after: Callable[[str | None], None]

    def timer(self, stat: str, rate: float = 1, *, tags: TagsLike = None) -> Timer:
        """Return a timer: a `with` block and a decorator."""
        return Timer(self, stat, rate, tags)

    def timing(
        self, stat: str, delta: float | timedelta, rate: float = 1, *, tags: TagsLike = None
    ) -> None:
        """Send a duration, in milliseconds or as a timedelta."""
        try:
            if type(delta) is not float:
                seconds = getattr(delta, "total_seconds", None)
                delta = delta if seconds is None else seconds() * 1000.0
            value = f"{delta:0.6f}|ms"
        except Exception:  # the value is the caller's object and may do anything
            self._drop()
        else:
            self._send_stat(stat, value, rate, tags)

    def incr(self, stat: str, count: float = 1, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Add `count` to a counter."""
        if type(count) is int:
            self._send_stat(stat, f"{count}|c", rate, tags)
        else:
            self._send_value(stat, count, "c", rate, tags)

    def decr(self, stat: str, count: float = 1, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Subtract `count` from a counter."""
        try:
            count = -count
        except Exception:  # the value is the caller's object and may do anything
            self._drop()
        else:
            self.incr(stat, count, rate, tags=tags)

    def gauge(
        self,
        stat: str,
        value: float,
        rate: float = 1,
        delta: bool = False,
        *,
        tags: TagsLike = None,
    ) -> None:
        """Set a gauge, or with `delta` move it by `value`."""
        try:
            is_negative = value < 0
            text = texts.value_text(value)
            is_skipped = is_negative and not delta and rate < 1 and random.random() > rate
        except Exception:  # the value is the caller's object and may do anything
            self._drop()
            return
        if not is_negative or delta:
            sign = "" if is_negative or not delta else "+"
            self._send_stat(stat, f"{sign}{text}|g", rate, tags)
        elif not is_skipped:
            # The two belong together: a pipeline puts them into one packet.
            with self.pipeline() as pipe:
                pipe._send_stat(stat, "0|g", 1, tags)  # noqa: SLF001  our own
                pipe._send_stat(stat, f"{text}|g", 1, tags)  # noqa: SLF001  our own

    def set(self, stat: str, value: object, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Add a member to a set."""
        self._send_value(stat, value, "s", rate, tags)

    def histogram(self, stat: str, value: float, rate: float = 1, *, tags: TagsLike = None) -> None:
        """Send a sample of type `h`."""
        self._send_value(stat, value, "h", rate, tags)

    def distribution(
        self, stat: str, value: float, rate: float = 1, *, tags: TagsLike = None
    ) -> None:
        """Send a sample of type `d`."""
        self._send_value(stat, value, "d", rate, tags)

    def event(self, title: str, text: str = "", *, tags: TagsLike = None, **fields: Any) -> None:
        """Send an event; `fields` as in `vitald.Client.event`."""
        self._send_line(event_line, title, text, tags, fields)

    def service_check(
        self, name: str, status: int, *, tags: TagsLike = None, **fields: Any
    ) -> None:
        """Send a service check; `fields` as in `vitald.Client.service_check`."""
        self._send_line(service_check_line, name, status, tags, fields)

    def _send_line(
        self,
        encode: Callable[..., str],
        first: str,
        second: object,
        tags: TagsLike,
        fields: dict[str, Any],
    ) -> None:
        try:
            line = encode(first, second, tags=canonical(tags), **fields)
        except Exception:  # the arguments are the caller's objects and may do anything
            self._drop()
        else:
            self._after(line)

    def _send_value(self, stat: str, value: object, kind: str, rate: float, tags: TagsLike) -> None:
        try:
            text = f"{texts.value_text(value)}|{kind}"
        except Exception:  # the value is the caller's object and may do anything
            self._drop()
        else:
            self._send_stat(stat, text, rate, tags)

    def _send_stat(self, stat: str, value: str, rate: float, tags: TagsLike = None) -> None:
        try:
            data = self._prepare(stat, value, rate)
            if tags is not None and data is not None:
                data += texts.field_text(tags)
        except Exception:  # the arguments are the caller's objects and may do anything
            self._drop()
        else:
            self._after(data)

    def _prepare(self, stat: str, value: str, rate: float) -> str | None:
        if rate < 1:
            if random.random() > rate:
                return None
            value = f"{value}|@{rate}"
        try:
            # A subclass of `str` may say anything about itself.
            name = _names[stat] if type(stat) is str else texts.name_text(stat)
        except KeyError:
            name = texts.name_text(stat)
        prefix = self._prefix
        return f"{prefix}.{name}:{value}" if prefix else f"{name}:{value}"

    def _drop(self) -> None:
        self.dropped += 1


class _TaggedPipeline(_Tagged):
    """The verbs of a pipeline, whose drops are its client's."""

    _client: Any

    def _drop(self) -> None:
        self._client._drop()  # noqa: SLF001  our own


class Pipeline(_TaggedPipeline, _Pipeline):  # type: ignore[misc]  # statsd has no types
    """Packs several calls into packets of at most `maxudpsize` bytes."""


class StreamPipeline(_TaggedPipeline, _StreamPipeline):  # type: ignore[misc]  # statsd has no types
    """Sends several calls at once."""


class StatsClient(_Tagged, statsd.StatsClient):  # type: ignore[misc]  # statsd has no types
    """`statsd.StatsClient` with tags: UDP, one packet a call.

    An address, and "localhost", is known at once. Any other host is looked up by a thread of its
    own, and up to 1,000 packets wait for the answer.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8125,
        prefix: str | None = None,
        maxudpsize: int = _PACKET,
        ipv6: bool = False,
    ) -> None:
        if isinstance(maxudpsize, bool):
            # Airflow 3 passes `ipv6` fourth, by position; no size is a bool.
            ipv6 = maxudpsize or ipv6
            maxudpsize = _PACKET
        self._prefix, self._maxudpsize = prefix, maxudpsize
        self._host, self._port = host, port
        self._family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self._addr: Any = None
        self._waiting: deque[str] = deque(maxlen=_WAITING)
        self._waiting_pid = os.getpid()
        self._resolver = 0
        self._sock: Any = socket.socket(self._family, socket.SOCK_DGRAM)
        # UDP waits only when the local send queue is full; then a packet is better dropped.
        self._sock.setblocking(False)
        if host == "localhost":  # RFC 6761, 6.3: no resolver is asked
            self._host = "::1" if ipv6 else "127.0.0.1"
        try:
            self._addr = self._look_up(socket.AI_NUMERICHOST)
        except (OSError, ValueError):  # ValueError: no name at all; IDNA refuses it
            self._look_up_aside()

    def pipeline(self) -> Pipeline:
        """Return a pipeline: a `with` block whose calls share packets."""
        return Pipeline(self)

    def close(self) -> None:
        """Close the socket; packets that still wait for an address are dropped."""
        super().close()
        self._disown_waiting()
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def _send(self, data: str) -> None:
        if self._addr is None and self._sock is not None:
            self._disown_waiting()
            if len(self._waiting) == _WAITING:
                self._drop()
            self._waiting.append(data)
            self._look_up_aside()
            if self._has_answer():  # meanwhile
                self._send_waiting()
            return
        try:
            self._sock.sendto(data.encode("utf-8", "replace"), self._addr)
        except (OSError, RuntimeError, AttributeError):  # AttributeError: after close()
            self._drop()

    def _disown_waiting(self) -> None:
        """Forget, in a forked child, the packets that its parent will send."""
        if self._waiting_pid != os.getpid():
            self._waiting_pid = os.getpid()
            self._waiting.clear()

    def _has_answer(self) -> bool:
        return self._addr is not None

    def _look_up(self, flags: int = 0) -> Any:
        # In bytes, as in `vitald.client.transport`.
        host = self._host.encode() if self._host.isascii() else self._host
        kind = socket.SOCK_DGRAM
        return socket.getaddrinfo(host, self._port, self._family, kind, flags=flags)[0][4]

    def _look_up_aside(self) -> None:
        """Start the thread that looks the host up, once a process: a fork has no threads."""
        if self._resolver != os.getpid() and self._sock is not None:
            self._resolver = os.getpid()
            try:
                start_new_thread(self._keep_looking_up, ())
            except RuntimeError:
                self._resolver = 0  # the next call tries again

    def _keep_looking_up(self) -> None:
        pause = _FIRST_PAUSE
        while self._sock is not None:
            if self._has_looked_up():
                self._send_waiting()
                return
            time.sleep(pause)
            pause = min(_LAST_PAUSE, pause * 2)

    def _has_looked_up(self) -> bool:
        try:
            self._addr = self._look_up()
        except (OSError, ValueError):  # as above
            return False
        return True

    def _send_waiting(self) -> None:
        try:
            while True:
                self._send(self._waiting.popleft())
        except IndexError:
            return


class _Stream(_Tagged):
    """What the two stream clients share."""

    close: Callable[[], None]
    _sock: Any

    def pipeline(self) -> StreamPipeline:
        """Return a pipeline: a `with` block whose calls are sent at once."""
        return StreamPipeline(self)

    def connect(self) -> None:
        """Connect; a failure leaves no half-made socket, so that the next call connects again."""
        try:
            super().connect()  # type: ignore[misc]
        except OSError:
            self.close()
            raise

    def _do_send(self, data: str) -> None:
        self._sock.sendall(data.encode("utf-8", "replace") + b"\n")


class TCPStatsClient(_Stream, statsd.TCPStatsClient):  # type: ignore[misc]  # statsd has no types
    """`statsd.TCPStatsClient` with tags."""


class UnixSocketStatsClient(_Stream, statsd.UnixSocketStatsClient):  # type: ignore[misc]  # statsd has no types
    """`statsd.UnixSocketStatsClient` (a stream) with tags."""
