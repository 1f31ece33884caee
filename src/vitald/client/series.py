"""Series: what a caller appends to without a lock, and what the flusher makes lines of.

A caller's part is one `list.append`, which the interpreter does whole. One drainer at a time,
under the flusher's lock, takes a prefix: it copies `buffer[:n]` and deletes it, and what is
appended meanwhile stands behind `n` and stays. So nothing is lost, callers never wait, and a
signal handler, `__del__` or a garbage collector's callback may record too.

Handles and verbs write that part out, since another call would cost as much again:

    buffer = series.buffer
    buffer.append(value)
    if len(buffer) > series.limit:
        series.relieve()

What was appended is looked at when it is drained, never in the call: a value that is no number is
dropped and counted there.
"""

from __future__ import annotations

from itertools import islice

from vitald.client.values import Delta, add_up, as_number, numbers
from vitald.wire.encode import clean_member, gauge_values, number, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from vitald.client.accounts import Accounts
    from vitald.client.backlog import Backlog

    class Owner(Protocol):
        """What a series needs of the flusher."""

        lock: Any
        accounts: Accounts
        lines: Series
        backlog: Backlog

        def relieve(self, series: Series) -> None: ...
        def drop(self, reason: str, samples: int = 1) -> None: ...
        def wake(self) -> None: ...
        def is_blocked(self) -> bool: ...


# A caller that finds a buffer longer than this folds it, or wakes the flusher when it cannot be
# folded. The number bounds the work: about 0.1 ms.
LIMIT = 2048

# A set that holds more members than this is dropped while nobody takes it; otherwise callers send
# some of them, a bounded number each. The flusher is woken at half of it.
_MEMBERS = 65536
_SENT_BY_CALLER = 256


class Series:
    """One name, type, rate and set of tags.

    `before` and `after` are the bytes around a value. `limit` is 0 until the first value: passing
    it calls `relieve`, which starts the flusher, so a client that records nothing has no thread.
    `is_overflow` tells a series that stands for those beyond the client's limit.
    """

    __slots__ = ("_owner", "after", "before", "buffer", "idle", "is_overflow", "key", "limit")

    # Whether the values may stay while nobody takes them; otherwise they are encoded.
    can_hold = True

    def __init__(self, owner: Owner, key: object, before: bytes = b"", after: bytes = b"") -> None:
        self.key = key
        self.before, self.after = before, after
        self.buffer: list[Any] = []
        self.limit = 0
        self.idle = 0
        self.is_overflow = False
        self._owner = owner

    def record(self, value: Any) -> None:
        """Take a value; never raises, never waits."""
        buffer = self.buffer
        buffer.append(value)
        if len(buffer) > self.limit:
            self.relieve()

    def relieve(self) -> None:
        """Act for the caller who found the buffer over its limit; a bounded amount of work."""
        self._owner.relieve(self)

    def make_room(self) -> list[Any]:
        """Shorten the buffer for a caller; for the holder of the lock.

        Return values that the caller must send himself.
        """
        raise NotImplementedError

    def hold(self) -> Iterator[None]:
        """Keep the values in less memory, while nobody takes them; yield after each bit of work."""
        raise NotImplementedError

    def take(self, at_most: int) -> list[Any]:
        """Remove and return the oldest values; for the holder of the lock."""
        chunk = self.buffer[:at_most]
        count = len(chunk)
        # No call comes after this, at which a signal handler could raise.
        del self.buffer[:count]
        return chunk

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        """Drain: yield what must stay together in one datagram, and the number of its samples."""
        raise NotImplementedError

    def encode(self, values: Any, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the units of values that were taken; needs no lock."""
        raise NotImplementedError

    def discard(self) -> int:
        """Forget everything and return the number of samples; for the holder of the lock."""
        return len(self.take(len(self.buffer)))

    def renew(self) -> None:
        """Begin anew in a forked child; for no other thread than the child's first.

        The buffer is replaced and never touched: without a GIL a list has a lock, which a thread
        of the parent may have held when it forked.
        """
        self.buffer = []
        self.limit = self.idle = 0

    def waiting(self) -> int:
        """Return the number of samples not yet sent."""
        return len(self.buffer)

    def _reject(self, samples: int) -> None:
        if samples:
            self._owner.drop("bad_value", samples)


class NoSeries(Series):
    """Stands behind a handle that cannot record: every value goes to `refuse` at once."""

    __slots__ = ("_refuse",)

    def __init__(self, refuse: Callable[[int], None]) -> None:
        self.buffer, self.limit = [], -1
        self._refuse = refuse

    def relieve(self) -> None:
        # One by one: no lock guards this buffer.
        while self.buffer:
            try:
                self.buffer.pop()
            except IndexError:  # another thread was faster
                return
            self._refuse(1)


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

    def make_room(self) -> list[Any]:
        self.fold()
        return []

    def hold(self) -> Iterator[None]:
        with self._owner.lock:
            self.fold()
        yield

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002  never a long line
        with self._owner.lock:
            self.fold()
            samples = self.samples
            try:
                units = self._encode() if samples else []
            except ValueError:  # the sum of good numbers is out of range
                units = []
                self._reject(samples)
            self.samples = 0
            self._clear()
        for unit in units:
            yield unit, samples
            samples = 0

    def discard(self) -> int:
        samples, self.samples = super().discard() + self.samples, 0
        self._clear()
        return samples

    def renew(self) -> None:
        super().renew()
        self.samples = 0
        self._clear()

    def waiting(self) -> int:
        return len(self.buffer) + self.samples


class CounterSeries(FoldingSeries):
    """Increments, summed exactly: integers as integers, floats with one rounding."""

    __slots__ = ("_total",)

    def _clear(self) -> None:
        self._total: float = 0

    def fold(self) -> None:
        count = len(self.buffer)
        chunk = self.buffer[:count]
        good = [self._total, *chunk]
        total = add_up(good)
        if total is None:
            good = [self._total, *numbers(chunk)]
            total = add_up(good)
        if total is None:  # each is a number and their sum is beyond all
            good, total = [self._total], self._total
        samples = len(good) - 1
        # Without a call in between: what a signal handler raises comes at a call.
        del self.buffer[:count]
        self._total = total
        self.samples += samples
        self._reject(count - samples)

    def _encode(self) -> list[bytes]:
        return [self.before + number(self._total).encode() + self.after]


class GaugeSeries(FoldingSeries):
    """The last value set, and the deltas since; deltas alone stay a delta."""

    __slots__ = ("_is_set", "_value")

    def _clear(self) -> None:
        self._is_set = False
        self._value: float = 0

    def fold(self) -> None:
        count = len(self.buffer)
        is_set, level = self._is_set, self._value
        deltas: list[float] = []
        bad = 0
        for value in reversed(self.buffer[:count]):
            is_delta = type(value) is Delta
            real = as_number(value[0] if is_delta else value)
            if real is None:
                bad += 1
            elif is_delta:
                deltas.append(real)
            else:
                is_set, level = True, real
                break
        if deltas:
            total = add_up([level, *reversed(deltas)])
            if total is None:
                bad += len(deltas)
            else:
                level = total
        # As in a counter, without a call in between.
        del self.buffer[:count]
        self._is_set, self._value = is_set, level
        self.samples += count - bad
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
        count = len(self.buffer)
        chunk = self.buffer[:count]
        # Handles record text only; what has no text is "".
        bad = chunk.count("")
        # To add a member again changes nothing.
        self._members.update(dict.fromkeys(filter(None, chunk)))
        del self.buffer[:count]
        self.samples += count - bad
        self._reject(bad)

    def make_room(self) -> list[Any]:
        self.fold()
        count = len(self._members)
        if count > _MEMBERS:
            return self._give_way(count)
        if count > _MEMBERS // 2:
            self._owner.wake()
        return []

    def hold(self) -> Iterator[None]:
        yield from super().hold()
        with self._owner.lock:
            if len(self._members) > _MEMBERS:
                self._drop_all()

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        yield from super().units(size)
        if self.limit:
            self.limit = LIMIT

    def encode(self, values: Any, size: int) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002
        for member in values:
            yield self._line(clean_member(member)), 1

    def _give_way(self, count: int) -> list[str]:
        """Return what the caller sends; all is dropped while nobody takes it."""
        owner = self._owner
        if owner.is_blocked():
            self._drop_all()
            return []
        owner.wake()
        # From now on fewer are added between two turns of callers than each of them sends.
        self.limit = _SENT_BY_CALLER // 2
        given = list(islice(self._members, min(_SENT_BY_CALLER, count)))
        given_count = len(given)
        try:
            for member in given:
                del self._members[member]
        except BaseException:  # a signal handler's
            self._members.update(dict.fromkeys(given))
            raise
        # Each was recorded at least once; the other times stay with the rest.
        self.samples -= given_count
        return given

    def _drop_all(self) -> None:
        samples, self.samples = self.samples, 0
        self._clear()
        self._owner.drop("buffer_full", samples)

    def _encode(self) -> list[bytes]:
        return list(map(self._line, dict.fromkeys(map(clean_member, self._members))))

    def _line(self, member: str) -> bytes:
        return self.before + member.encode() + self.after
