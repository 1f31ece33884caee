"""The exact stream: one line a call, in the order of the calls over all series.

Every series of such a client appends to one list, so nothing is summed, packed or left out. Only
`Client(aggregate=False)` imports this.
"""

from __future__ import annotations

from vitald.client.samples import SLICE, LineSeries
from vitald.client.series import LIMIT, Series
from vitald.client.values import Delta, as_number, milliseconds
from vitald.wire.encode import clean_member, gauge_values, number, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from vitald.client.series import Owner

# So many calls may wait for the flusher. At the bound the oldest are dropped: if callers sent
# them, they would overtake what the flusher has in its hands.
HARD_LIMIT = 64 * LIMIT


class ExactStream(LineSeries):
    """Whole lines, and values with their series, in one order."""

    __slots__ = ()

    hard_limit = HARD_LIMIT

    def make_room(self) -> list[Any]:
        self._owner.drop("buffer_full", len(self.take(SLICE)))
        return []

    def encode(self, values: Any, size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002
        for one in values:
            if type(one) is bytes:
                yield one, 1
                continue
            series, value = one
            series.idle = 0
            if series.is_overflow:
                self._owner.accounts.overflowed.add(1)
            unit = series.line_of(value)
            if unit:
                yield unit, 1
            else:
                self._reject(1)


class ExactSeries(Series):
    """A series whose values wait in the stream.

    It is its own buffer: what is appended goes to the stream. Its length is by how much the stream
    is over its limit, and `limit` stays 0.
    """

    __slots__ = ("_stream",)

    def __init__(self, owner: Owner, key: object, before: bytes = b"", after: bytes = b"") -> None:
        self.key, self.before, self.after = key, before, after
        self.limit = self.idle = 0
        self.is_overflow = False
        self._owner, self._stream = owner, owner.lines

    @property
    def buffer(self) -> Any:  # type: ignore[override]
        """Return the series, which no attribute may refer to: it could not be forgotten."""
        return self

    def append(self, value: Any) -> None:
        """Put the value into the stream."""
        self._stream.buffer.append((self, value))

    def __len__(self) -> int:
        return max(0, len(self._stream.buffer) - self._stream.limit)

    def relieve(self) -> None:
        self._stream.relieve()

    def waiting(self) -> int:
        return 0

    def discard(self) -> int:
        return 0

    def renew(self) -> None:
        self.limit = self.idle = 0

    def line_of(self, value: Any) -> bytes:
        """Return the line, or the lines that belong together; nothing for a bad value."""
        try:
            texts = self._texts(value)
        except ValueError:
            return b""
        return b"\n".join([self.before + text.encode() + self.after for text in texts])

    def _texts(self, value: Any) -> list[str]:
        real = as_number(value)
        return [] if real is None else [number(real)]


class ExactGauge(ExactSeries):
    """A gauge: the level, or a step with its sign."""

    __slots__ = ()

    def _texts(self, value: Any) -> list[str]:
        is_delta = type(value) is Delta
        real = as_number(value[0] if is_delta else value)
        if real is None:
            return []
        return [signed(real)] if is_delta else gauge_values(real)


class ExactSet(ExactSeries):
    """A set: the member."""

    __slots__ = ()

    def _texts(self, value: Any) -> list[str]:
        return [clean_member(value)] if value else []


class ExactTimer(ExactSeries):
    """A timer: milliseconds, or a timedelta."""

    __slots__ = ()

    def _texts(self, value: Any) -> list[str]:
        return super()._texts(milliseconds(value))


# What a client's registry makes, by wire type.
KINDS: dict[str, type[Series]] = {
    "c": ExactSeries,
    "g": ExactGauge,
    "s": ExactSet,
    "ms": ExactTimer,
    "h": ExactSeries,
    "d": ExactSeries,
}
