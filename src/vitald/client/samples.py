"""Series whose every value is sent: timings and other samples, and whole lines."""

from __future__ import annotations

from vitald.client.backlog import CHUNK, pack_values
from vitald.client.series import LIMIT, Series
from vitald.client.values import as_number, milliseconds, plain_texts
from vitald.wire.encode import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from vitald.client.series import Owner

# A caller that finds more values than this moves the oldest ones out of the way.
HARD_LIMIT = 4 * LIMIT

# So many samples are formatted at a time: what formats them has the GIL for less than 0.1 ms.
SLICE = 128


class StreamSeries(Series):
    """A series whose every value is sent; `encode` turns a chunk into units."""

    __slots__ = ()

    hard_limit = HARD_LIMIT

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        left = len(self.buffer)
        while left > 0:
            with self._owner.lock:
                chunk = self.take(min(left, SLICE))
            left -= SLICE
            yield from self.encode(chunk, size)
        self.limit = LIMIT

    def relieve(self) -> None:
        # First the flusher is woken; then, if that was not enough, there is no waiting for it.
        if LIMIT <= self.limit < self.hard_limit:
            self.limit = self.hard_limit
            self._owner.wake()
        else:
            super().relieve()

    def make_room(self) -> list[Any]:
        return self.take(SLICE)


class SampleSeries(StreamSeries):
    """Timings or other samples: every value is sent, many to a line (`name:1:2:3|ms`).

    `rate` is the share of calls that are recorded. It is in the line, so samples of another rate
    are another series.
    """

    __slots__ = ("_kind", "_tags", "rate")

    def __init__(self, owner: Owner, key: object, before: bytes = b"", after: bytes = b"") -> None:
        super().__init__(owner, key, before, after)
        _, self._kind, *fields = after.split(b"|") if after else (b"", b"")
        self.rate = 1.0
        if fields and fields[0].startswith(b"@"):
            self.rate = float(fields.pop(0)[1:])
        self._tags = b"".join(b"|" + field for field in fields)

    def hold(self) -> Iterator[None]:
        left = len(self.buffer)
        while left > 0:
            with self._owner.lock:
                self._put_aside()
            left -= CHUNK
            yield
        self.limit = LIMIT

    def encode(
        self, values: Any, size: int, rate: float | None = None
    ) -> Iterator[tuple[bytes, int]]:
        """Yield the lines of these values, none longer than `size` where a value allows it.

        `rate` is given when these are the rest of more values that were recorded.
        """
        texts = plain_texts(values)
        if texts is None:
            texts = [text for text in map(self._text, values) if text]
            self._reject(len(values) - len(texts))
        if texts:
            yield from self._lines(texts, self._after(rate), size)

    def _lines(self, texts: list[str], after: bytes, size: int) -> Iterator[tuple[bytes, int]]:
        packed = ":".join(texts).encode()
        before = self.before
        room = max(1, size - len(before) - len(after))
        start = 0
        while len(packed) - start > room:
            cut = packed.rfind(b":", start, start + room + 1)
            if cut < 0:
                cut = packed.find(b":", start)
            if cut < 0:
                break
            yield before + packed[start:cut] + after, packed.count(b":", start, cut) + 1
            start = cut + 1
        yield before + packed[start:] + after, packed.count(b":", start) + 1

    def _after(self, rate: float | None) -> bytes:
        if rate is None or rate == self.rate:
            return self.after
        return b"|%b|@%b%b" % (self._kind, repr(rate).encode(), self._tags)

    def _text(self, value: Any) -> str:
        real = as_number(milliseconds(value) if self._kind == b"ms" else value)
        return "" if real is None else number(real)

    def make_room(self) -> list[Any]:
        owner = self._owner
        if owner.is_blocked() or owner.backlog.has_room():
            self._put_aside()
            return []
        return super().make_room()

    def _put_aside(self) -> None:
        self._owner.backlog.add(self, pack_values(self.buffer[:CHUNK]))


class SingleSeries(SampleSeries):
    """Samples one to a line, for servers that do not read `name:1:2:3|ms`."""

    __slots__ = ()

    def _lines(
        self,
        texts: list[str],
        after: bytes,
        size: int,  # noqa: ARG002  one value is never parted
    ) -> Iterator[tuple[bytes, int]]:
        before = self.before
        for text in texts:
            yield before + text.encode() + after, 1


class LineSeries(StreamSeries):
    """Whole encoded lines in their order: events, service checks, values with a timestamp."""

    __slots__ = ()

    can_hold = False

    def encode(self, values: Any, size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002
        for line in values:
            yield line, 1
