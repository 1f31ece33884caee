"""Series: what a caller appends to without a lock, and what the flusher makes lines of.

A caller's part is one `list.append`, which the interpreter does whole. One drainer at a time,
under the flusher's lock, takes a prefix: it copies `buffer[:n]` and deletes it, and what is
appended meanwhile stands behind `n` and stays. So nothing is lost, callers never wait, and a
signal handler, `__del__` or a garbage collector's callback may record too.

What was appended is looked at when it is drained, never in the call: a value that is no number is
dropped and counted there.
"""

from __future__ import annotations

from math import fsum, isfinite

from vitald.wire.encode import clean_member, gauge_values, number, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    class Owner(Protocol):
        """What a series needs of the flusher."""

        lock: Any

        def relieve(self, series: Series) -> None: ...
        def drop(self, reason: str, samples: int = 1) -> None: ...


# A caller that finds a buffer longer than this folds it, or wakes the flusher when it cannot be
# folded. The number bounds the work: about 0.1 ms.
LIMIT = 2048

# A caller that finds more samples than this encodes and sends a slice itself.
HARD_LIMIT = 4 * LIMIT

# So many samples are formatted at a time: what formats them has the GIL for less than 0.1 ms.
SLICE = 128

# A set that holds more members than this is dropped: nobody has taken it for long.
_MEMBERS = 65536

# Every int of so many bits is within the range of a double.
_DOUBLE_BITS = 1023


class Series:
    """One name, type, rate and set of tags.

    `before` and `after` are the bytes around a value. `limit` is 0 until the first value: passing
    it calls `relieve`, which starts the flusher, so a client that records nothing has no thread.
    """

    __slots__ = ("_owner", "after", "before", "buffer", "idle", "key", "limit")

    def __init__(self, owner: Owner, key: object, before: bytes = b"", after: bytes = b"") -> None:
        self.key = key
        self.before, self.after = before, after
        self.buffer: list[Any] = []
        self.limit = 0
        self.idle = 0
        self._owner = owner

    def record(self, value: Any) -> None:
        """Take a value; never raises, never waits."""
        buffer = self.buffer
        buffer.append(value)
        if len(buffer) > self.limit:
            self._owner.relieve(self)

    def take(self, at_most: int) -> list[Any]:
        """Remove and return the oldest values; for the holder of the lock."""
        chunk = self.buffer[:at_most]
        del self.buffer[: len(chunk)]
        return chunk

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        """Drain: yield what must stay together in one datagram, and the number of its samples."""
        raise NotImplementedError

    def discard(self) -> int:
        """Forget everything and return the number of samples; for the holder of the lock."""
        return len(self.take(len(self.buffer)))

    def waiting(self) -> int:
        """Return the number of samples not yet sent."""
        return len(self.buffer)

    def _reject(self, samples: int) -> None:
        if samples:
            self._owner.drop("bad_value", samples)


class FoldingSeries(Series):
    """A series that is one pending value, whatever is recorded; `samples` are folded into it."""

    __slots__ = ("samples",)

    def __init__(self, owner: Owner, key: object, before: bytes = b"", after: bytes = b"") -> None:
        super().__init__(owner, key, before, after)
        self.samples = 0
        self._clear()

    def fold(self) -> None:
        """Empty the buffer into the pending value; for the holder of the lock."""
        raise NotImplementedError

    def _clear(self) -> None:
        raise NotImplementedError

    def _encode(self) -> list[bytes]:
        raise NotImplementedError

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002  never a long line
        with self._owner.lock:
            self.fold()
            samples, self.samples = self.samples, 0
            try:
                units = self._encode() if samples else []
            except ValueError:  # the sum of good numbers is out of range
                units = []
                self._reject(samples)
            self._clear()
        for unit in units:
            yield unit, samples
            samples = 0

    def discard(self) -> int:
        samples, self.samples = super().discard() + self.samples, 0
        self._clear()
        return samples

    def waiting(self) -> int:
        return len(self.buffer) + self.samples


class CounterSeries(FoldingSeries):
    """Increments, summed exactly: integers as integers, floats with one rounding."""

    __slots__ = ("_total",)

    def _clear(self) -> None:
        self._total: float = 0

    def fold(self) -> None:
        chunk = self.take(len(self.buffer))
        good = [self._total, *chunk]
        total = add_up(good)
        if total is None:
            good = [self._total, *_numbers(chunk)]
            total = add_up(good)
        if total is None:  # each is a number and their sum is beyond all
            good, total = [self._total], self._total
        self._total = total
        self.samples += len(good) - 1
        self._reject(len(chunk) - len(good) + 1)

    def _encode(self) -> list[bytes]:
        return [self.before + number(self._total).encode() + self.after]


class Delta(tuple[float]):
    """A gauge's step, told from a value by its type."""

    __slots__ = ()


class GaugeSeries(FoldingSeries):
    """The last value set, and the deltas since; deltas alone stay a delta."""

    __slots__ = ("_is_set", "_value")

    def _clear(self) -> None:
        self._is_set = False
        self._value: float = 0

    def fold(self) -> None:
        chunk = self.take(len(self.buffer))
        deltas: list[float] = []
        bad = 0
        for value in reversed(chunk):
            is_delta = type(value) is Delta
            real = as_number(value[0] if is_delta else value)
            if real is None:
                bad += 1
            elif is_delta:
                deltas.append(real)
            else:
                self._is_set, self._value = True, real
                break
        if deltas:
            total = add_up([self._value, *reversed(deltas)])
            if total is None:
                bad += len(deltas)
            else:
                self._value = total
        self.samples += len(chunk) - bad
        self._reject(bad)

    def _encode(self) -> list[bytes]:
        texts = gauge_values(self._value) if self._is_set else [signed(self._value)]
        # One unit: "0" and the decrement after it mean nothing in two datagrams.
        return [b"\n".join([self.before + text.encode() + self.after for text in texts])]


class SetSeries(FoldingSeries):
    """Members, each sent once a flush."""

    __slots__ = ("_members",)

    def _clear(self) -> None:
        self._members: dict[str, None] = {}

    def fold(self) -> None:
        chunk = self.take(len(self.buffer))
        # Handles record text only; what has no text is "".
        bad = chunk.count("")
        self._members.update(dict.fromkeys(chunk))
        self.samples += len(chunk) - bad
        self._reject(bad)
        if len(self._members) > _MEMBERS:
            self._owner.drop("buffer_full", self.samples)
            self.samples = 0
            self._clear()

    def _encode(self) -> list[bytes]:
        members = dict.fromkeys(map(clean_member, filter(None, self._members)))
        return [self.before + member.encode() + self.after for member in members]


class StreamSeries(Series):
    """A series whose every value is sent; `encode` turns a chunk into units."""

    __slots__ = ()

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        left = len(self.buffer)
        while left > 0:
            with self._owner.lock:
                chunk = self.take(min(left, SLICE))
            left -= SLICE
            yield from self.encode(chunk, size)
        self.limit = LIMIT

    def encode(self, chunk: list[Any], size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the units of values that were taken; needs no lock."""
        raise NotImplementedError


class SampleSeries(StreamSeries):
    """Timings or other samples: every value is sent, many to a line (`name:1:2:3|ms`)."""

    __slots__ = ()

    def encode(self, chunk: list[Any], size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the lines of these values, none longer than `size` where a value allows it."""
        texts = _plain_texts(chunk)
        if texts is None:
            texts = [text for text in map(self._text, chunk) if text]
            self._reject(len(chunk) - len(texts))
        if not texts:
            return
        packed = ":".join(texts).encode()
        room = max(1, size - len(self.before) - len(self.after))
        start = 0
        while len(packed) - start > room:
            cut = packed.rfind(b":", start, start + room + 1)
            if cut < 0:
                cut = packed.find(b":", start)
            if cut < 0:
                break
            yield self._line(packed[start:cut])
            start = cut + 1
        yield self._line(packed[start:])

    def _line(self, values: bytes) -> tuple[bytes, int]:
        return self.before + values + self.after, values.count(b":") + 1

    def _text(self, value: Any) -> str:
        try:
            if hasattr(value, "total_seconds") and self.after.startswith(b"|ms"):
                value = value.total_seconds() * 1000.0
        except Exception:  # the value is the caller's object and may do anything
            return ""
        real = as_number(value)
        return "" if real is None else number(real)


class LineSeries(StreamSeries):
    """Whole encoded lines in their order: events, service checks, series beyond the limit."""

    __slots__ = ()

    def encode(self, chunk: list[Any], size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002
        for line in chunk:
            yield line, 1


def as_number(value: Any) -> float | None:
    """Return a plain int or float equal to `value`, None when it is no finite number.

    Text is none: `float` would read it.
    """
    try:
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _DOUBLE_BITS else None
        if isinstance(value, str | bytes | bytearray):
            return None
        real = float(value)
    except Exception:  # the value is the caller's object and may do anything
        return None
    return real if isfinite(real) else None


def _numbers(values: list[Any]) -> list[float]:
    return [real for real in map(as_number, values) if real is not None]


def add_up(values: list[Any]) -> float | None:
    """Return the sum, None when the values have none; ints stay exact, floats are rounded once."""
    try:
        total = sum(values)
        if type(total) is int:
            return total if total.bit_length() <= _DOUBLE_BITS else None
        total = fsum(values)
    except Exception:  # the values are the caller's objects and may do anything
        return None
    return total if isfinite(total) else None


def _plain_texts(chunk: list[Any]) -> list[str] | None:
    """Return the texts of a chunk of nothing but ints and finite floats, None for any other."""
    if not {int, float}.issuperset(map(type, chunk)):
        return None
    try:
        if not isfinite(sum(chunk)):
            return None
    except OverflowError:
        return None
    return list(map(repr, chunk))
