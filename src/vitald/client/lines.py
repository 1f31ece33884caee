"""What is never summed up: events, service checks, and values of a given time.

Each is a whole line at once, and waits for the flusher in the order of the calls.
"""

from __future__ import annotations

import random

from vitald.client.registry import clamp, settled
from vitald.client.tags import canonical
from vitald.client.values import Delta, as_number, scaled
from vitald.wire.encode import (
    event_line,
    gauge_values,
    metric_line,
    number,
    service_check_line,
    signed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vitald.client.flusher import Flusher
    from vitald.client.tags import TagsLike
    from vitald.metric import Tags


class LineVerbs:
    """The part of a client that sends whole lines."""

    _flusher: Flusher
    _prefix: str
    _tags: Tags

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

    def _record_at(
        self,
        timestamp: float,
        kind: str,
        name: str,
        value: Any,
        *,
        rate: float = 1,
        tags: TagsLike = None,
        labels: Mapping[str, object] | None = None,
    ) -> None:
        """Send a value of a given time; two of one time are two lines."""
        try:
            rate = clamp(rate)
            if rate < 1 and random.random() >= rate:
                return
            if not name:
                raise ValueError("cannot record a value: the name is empty")  # noqa: TRY301
            full, when = self._prefix + name, int(timestamp)
            merged = canonical(settled(tags, labels), self._tags)
            texts = _texts(kind, value, rate)
            lines = [metric_line(full, text, kind, 1, merged, timestamp=when) for text in texts]
        except Exception:  # the arguments are the caller's objects and may do anything
            self._flusher.drop("bad_argument")
            return
        if lines:
            self._flusher.lines.record("\n".join(lines).encode())
        else:
            self._flusher.drop("bad_value")


def _texts(kind: str, value: Any, rate: float) -> list[str]:
    """Return the values to write; none when `value` is no number."""
    is_delta = type(value) is Delta
    real = as_number(value[0] if is_delta else value)
    if rate < 1:
        real = as_number(scaled(real, rate))
    if real is None:
        return []
    if kind == "c":
        return [number(real)]
    return [signed(real)] if is_delta else gauge_values(real)
