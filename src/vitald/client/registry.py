"""From a call's name, rate and tags to the one series that they mean."""

from __future__ import annotations

import random
from _thread import allocate_lock

from vitald.client.series import CounterSeries, GaugeSeries, SampleSeries, SetSeries
from vitald.client.tags import canonical
from vitald.wire.encode import MIN_RATE, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vitald.client.flusher import Flusher
    from vitald.client.series import Series
    from vitald.client.tags import TagsLike
    from vitald.metric import Tags

_SERIES: dict[str, type[Series]] = {
    "c": CounterSeries,
    "g": GaugeSeries,
    "s": SetSeries,
    "ms": SampleSeries,
    "h": SampleSeries,
    "d": SampleSeries,
}

# So many different spellings of calls are remembered for each type.
_CACHE_LIMIT = 10_000

# Stands in the key of tags given as a list, which may look like a mapping's.
_LISTED = object()

# A unit beyond what any datagram takes is the outbox's to refuse.
_ANY_SIZE = 65507


class Registry:
    """Finds series by what a call says; a wrong argument is counted, never raised.

    `caches` has, for each wire type, the series by spelling: the bare name of a call without tags
    and rate, a tuple for any other.
    """

    def __init__(self, flusher: Flusher, prefix: str, tags: Tags) -> None:
        self.caches: dict[str, dict[Any, Series]] = {kind: {} for kind in _SERIES}
        self._flusher, self._prefix, self._tags = flusher, prefix, tags
        flusher.on_forget = self._forget

    def record(
        self,
        kind: str,
        name: str,
        value: Any,
        rate: float,
        tags: TagsLike,
        *,
        labels: Mapping[str, object] | None = None,
    ) -> None:
        """Record a value of a series that is looked up by its spelling."""
        try:
            if rate != 1:
                rate = _clamp(rate)
                if rate < 1 and random.random() >= rate:
                    return
            if labels or type(tags) is not dict:
                tags = _settled(tags, labels)
            key = _spelling(name, rate, tags)
            series = self.caches[kind].get(key)
            if series is None:
                before, after = self._frame(kind, name, rate, tags)
                if self._flusher.is_full() and (before, after) not in self._flusher.table:
                    alone = _SERIES[kind](_Alone(self._flusher), None, before, after)
                    self._send_alone(alone, value)
                    return
                series = self._find(kind, key, before, after)
        except Exception:  # the arguments are the caller's objects and may do anything
            self._flusher.drop("bad_argument")
            return
        series.record(value)

    def bind(
        self,
        kind: str,
        name: str,
        rate: float,
        tags: TagsLike,
        labels: Mapping[str, object],
    ) -> tuple[Callable[[Any], None], float]:
        """Return what a handle records with, and the rate it samples by."""
        try:
            rate = _clamp(rate)
            if rate == 0:
                return _ignore, 1
            tags = _settled(tags, labels)
            key = _spelling(name, rate, tags)
            series = self.caches[kind].get(key)
            if series is None:
                series = self._find(kind, key, *self._frame(kind, name, rate, tags))
        except Exception:  # the arguments are the caller's objects and may do anything
            return self._reject, 1
        return series.record, rate

    def _frame(self, kind: str, name: str, rate: float, tags: TagsLike) -> tuple[bytes, bytes]:
        if not name:
            raise ValueError("cannot record a value: the name is empty")
        before, after = frame(self._prefix + name, kind, rate, canonical(tags, self._tags))
        return before.encode(), after.encode()

    def _find(self, kind: str, spelling: object, before: bytes, after: bytes) -> Series:
        # What goes over the wire is the identity: spellings that are cleaned to one are one.
        key = (before, after)
        series = self._flusher.table.get(key)
        if series is None:
            series = self._flusher.add(_SERIES[kind](self._flusher, key, before, after))
        cache = self.caches[kind]
        if len(cache) >= _CACHE_LIMIT:
            cache.clear()
        cache[spelling] = series
        return series

    def _forget(self) -> None:
        for cache in self.caches.values():
            cache.clear()

    def _send_alone(self, series: Series, value: Any) -> None:
        """Encode one value of a series beyond the limit at once: totals hold, memory is bounded."""
        series.record(value)
        for unit, _ in series.units(_ANY_SIZE):
            self._flusher.lines.record(unit)

    def _reject(self, _: Any) -> None:
        self._flusher.drop("bad_argument")


class _Alone:
    """The owner of a series for one value; its lock is never contended."""

    def __init__(self, flusher: Flusher) -> None:
        self.lock: Any = allocate_lock()
        self.drop = flusher.drop

    def relieve(self, series: Series) -> None:
        """Do nothing: it is drained at once."""


def _clamp(rate: float) -> float:
    """Return the rate within 0 to 1; the receiver clamps at the same lower bound."""
    if rate >= 1:
        return 1
    return max(float(rate), MIN_RATE) if rate > 0 else 0


def _settled(tags: TagsLike, labels: Mapping[str, object] | None) -> TagsLike:
    """Return tags that can be read twice, with the labels over them."""
    if labels:
        return {**dict(canonical(tags)), **labels}
    if tags is None or isinstance(tags, dict | list | tuple | str):
        return tags
    return dict(canonical(tags))


def _spelling(name: str, rate: float, tags: TagsLike) -> object:
    """Return a key that is the same for the same spelling of a call, and cheap.

    Values go in as text: 1, 1.0 and True are equal, and are three tags.
    """
    if tags is None:
        return name if rate == 1 else (name, rate)
    if isinstance(tags, dict):
        return (name, rate, *map(str, tags), *map(str, tags.values()))
    if isinstance(tags, str):
        return (name, rate, tags)
    return (name, rate, _LISTED, *tags)


def _ignore(_: Any) -> None:
    """Record nothing: the handle's rate is 0."""
