"""Samples that wait longer than a flush: packed, bounded, and thinned at the bound.

They come here from a caller who found a buffer long (the flusher does not keep up), and from the
flusher while nobody takes its datagrams. Eight bytes a sample instead of 32, and nothing of it is
encoded before it can be sent.

Callers who fill it while the receiver takes everything encode and send from then on. At the bound
of what nobody takes, a chunk loses a random half of its values, the oldest chunk first, and what
is left stands for all of it: it goes out with the true share that was kept (`@kept/seen`), so
counts stay right and quantiles stay unbiased. When nothing is left to halve, chunks are dropped.

A signal handler may raise at any call, and above a caller it does. So each change is prepared
first and then committed by statements that call nothing: a sample is in one place at any time.
"""

from __future__ import annotations

import random
from array import array
from itertools import compress

from vitald.wire.encode import MIN_RATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from vitald.client.samples import SampleSeries

# A chunk's values at the most: packing or thinning one takes less than 0.02 ms.
CHUNK = 256

# So many are formatted at a time, as in `vitald.client.samples`.
_SLICE = 128

# So many samples may wait: 2 MiB.
LIMIT = 262_144

# A chunk with fewer values is not thinned any more: hardly any room would be gained. So many are
# looked at for one that is worth it.
_WORTH_THINNING = 32
_LOOKED_AT = 64

# The digits "0" and "1" to false and true.
_COINS = bytes.maketrans(b"01", b"\0\1")


class Chunk:
    """Values of one series, in the order they were recorded, out of `seen` that were."""

    __slots__ = ("seen", "series", "values")

    def __init__(self, series: SampleSeries, values: Any) -> None:
        self.series, self.values, self.seen = series, values, len(values)

    def takes(self, values: Any) -> bool:
        """Return whether there is room for values and nothing was thinned; make their types one."""
        length = len(self.values)
        if length != self.seen or length + len(values) > CHUNK:
            return False
        if type(self.values) is not type(values):
            self.values = list(self.values)
        return True

    def may_be_thinned(self) -> bool:
        """Return whether a half is worth its work and stands for no more than a line can say."""
        kept = len(self.values)
        return kept >= _WORTH_THINNING and self.series.rate * kept >= 2.0 * MIN_RATE * self.seen

    def units(self, size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the lines of what was kept."""
        kept = len(self.values)
        rate = None if kept == self.seen else self.series.rate * kept / self.seen
        for start in range(0, kept, _SLICE):
            yield from self.series.encode(self.values[start : start + _SLICE], size, rate)


class Backlog:
    """Chunks, oldest first. Whoever calls holds the flusher's lock.

    Nothing here runs a caller's code, so a caller who holds the lock cannot come back to it.
    `samples` are the values in memory, `waiting` those they stand for. What was thinned is counted
    when its chunk is taken: one that is dropped before takes all it stood for with it.
    """

    def __init__(self, drop: Callable[[str, int], None]) -> None:
        self.samples = self.waiting = 0
        self._drop = drop
        self._chunks: list[Chunk] = []
        # The chunk of each series that still takes values.
        self._open: dict[SampleSeries, Chunk] = {}
        self._next_thinned = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def has_room(self) -> bool:
        """Return whether a chunk more is below the bound."""
        return self.samples + CHUNK <= LIMIT

    def add(self, series: SampleSeries, values: Any) -> None:
        """Move values here: a packed copy of as many as its buffer begins with.

        Make room when there are too many.
        """
        count = len(values)
        if not count:
            return
        chunk = self._open.get(series)
        if chunk is None or not chunk.takes(values):
            chunk = Chunk(series, values)
            self._chunks += (chunk,)
            self._open[series] = chunk
        else:
            chunk.values += values
            chunk.seen += count
        self.samples += count
        self.waiting += count
        del series.buffer[:count]
        while self.samples > LIMIT:
            self._make_room()

    def take(self) -> Chunk | None:
        """Remove and return the oldest chunk, which goes out now."""
        if not self._chunks:
            return None
        self._next_thinned = max(0, self._next_thinned - 1)
        chunk = self._remove(0)
        self._drop("thinned", chunk.seen - len(chunk.values))
        return chunk

    def discard(self) -> int:
        """Forget everything and return the number of samples it stood for."""
        samples = self.waiting
        self._chunks, self._open = [], {}
        self.samples = self.waiting = 0
        return samples

    def _remove(self, index: int) -> Chunk:
        chunk = self._chunks[index]
        if self._open.get(chunk.series) is chunk:
            del self._open[chunk.series]
        kept = len(chunk.values)
        del self._chunks[index]
        self.samples -= kept
        self.waiting -= chunk.seen
        return chunk

    def _make_room(self) -> None:
        """Halve a chunk, each in its turn; drop one when all around are too short for that."""
        for _ in range(_LOOKED_AT):
            index = self._next_thinned = self._next_thinned % len(self._chunks)
            chunk = self._chunks[index]
            self._next_thinned += 1
            if chunk.may_be_thinned():
                half = _half_of(chunk.values)
                kept = len(half)
                thinned = len(chunk.values) - kept
                if chunk.series.rate * kept >= MIN_RATE * chunk.seen:
                    chunk.values = half
                    self.samples -= thinned
                    return
        self._next_thinned -= 1
        self._drop("buffer_full", self._remove(self._next_thinned).seen)


def pack_values(values: list[Any]) -> Any:
    """Return plain numbers as an array of doubles; any other values as they are.

    Only what is an int or a float is touched: converting anything else could run a caller's code.
    """
    if {int, float}.issuperset(map(type, values)):
        try:
            return array("d", values)
        except OverflowError:  # an int beyond every double, which the encoder refuses by itself
            pass
    return values


def _half_of(values: Any) -> Any:
    """Return about half of the values, each with the same probability."""
    count = len(values)
    coins = f"{random.getrandbits(count):0{count}b}".encode().translate(_COINS)
    kept = compress(values, coins)
    return list(kept) if type(values) is list else array("d", kept)
