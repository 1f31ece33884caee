"""From a call's name, rate and tags to the one series that they mean."""

from __future__ import annotations

import random

from vitald.client.samples import SampleSeries, SingleSeries
from vitald.client.series import CounterSeries, GaugeSeries, NoSeries, SetSeries
from vitald.client.tags import canonical
from vitald.client.values import scaled
from vitald.wire.encode import MIN_RATE, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vitald.client.flusher import Flusher
    from vitald.client.series import Series
    from vitald.client.tags import TagsLike
    from vitald.metric import Tags

# So many different spellings of calls are remembered for each type.
_CACHE_LIMIT = 10_000

# Stands in the key of tags given as a list, which may look like a mapping's.
_LISTED = object()

# What a tag's value may be for its call to be remembered as it stands.
_PLAIN = frozenset({str, int, float, bool})

# Where series beyond the limit go whose name no series has; the sidecar does the same.
_OVERFLOW_NAME = "vitald.overflow"
_OVERFLOW_TAG = {"overflow": "true"}


class Registry:
    """Finds series by what a call says; a wrong argument is counted, never raised.

    `caches` has, for each wire type, the series by spelling: the bare name of a call without tags
    and rate, `spelling` of one with plain tags, `_full_spelling` of any other.

    Past `series_limit` a new series is folded into `name{overflow=true}` when its name is known
    with its type, else into `vitald.overflow` of its type: totals hold, memory is bounded.
    """

    def __init__(
        self,
        flusher: Flusher,
        prefix: str,
        tags: Tags,
        *,
        aggregate: bool = True,
        packed: bool = True,
        series_limit: int = 10_000,
    ) -> None:
        self._kinds = _kinds(aggregate, packed)
        self.caches: dict[str, dict[Any, Series]] = {kind: {} for kind in self._kinds}
        self._flusher, self._prefix, self._tags = flusher, prefix, tags
        self._is_aggregating, self._limit = aggregate, series_limit
        # The names that have series, or had: one more makes no difference.
        self._names: dict[tuple[str, str], None] = {}
        flusher.table.on_forget = self._forget

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
                rate = clamp(rate)
                if rate < 1 and random.random() >= rate:
                    return
                if kind == "c" and self._is_aggregating:
                    value, rate = scaled(value, rate) if rate < 1 else value, 1
            series = self._find(kind, name, rate, tags, labels)
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
    ) -> tuple[Series, float, float]:
        """Return a handle's series, the rate it samples by, and the share a call then stands for.

        A counter that is summed up says what share it recorded in its sum; every other line says
        it itself.
        """
        try:
            rate = weight = clamp(rate)
            if rate == 0:
                return NoSeries(_ignore), 1, 1
            if kind == "c" and self._is_aggregating:
                return self._find(kind, name, 1, tags, labels), rate, weight
            return self._find(kind, name, rate, tags, labels), rate, 1
        except Exception:  # the arguments are the caller's objects and may do anything
            return NoSeries(self._reject), 1, 1

    def _find(
        self,
        kind: str,
        name: str,
        rate: float,
        tags: TagsLike,
        labels: Mapping[str, object] | None,
    ) -> Series:
        tags = settled(tags, labels)
        cache = self.caches[kind]
        key = None
        if rate == 1:
            key = name if tags is None else spelling(name, tags)
            try:
                series = cache.get(key)
            except TypeError:  # a pair may be a list
                series = None
            if series is not None:
                return series
        if key is None or not _is_plain(name, tags):
            key = _full_spelling(name, rate, tags)
        series = cache.get(key)
        if series is None:
            series = self._make(kind, name, rate, canonical(tags, self._tags))
            # One for one: to empty it would take a caller a millisecond.
            if len(cache) >= _CACHE_LIMIT:
                _drop_one(cache)
            cache[key] = series
        return series

    def _make(self, kind: str, name: str, rate: float, tags: Tags) -> Series:
        """Return the series of a call, from the table or new; an overflow series at the limit."""
        if not name:
            raise ValueError("cannot record a value: the name is empty")
        full = self._prefix + name
        before, after = (part.encode() for part in frame(full, kind, rate, tags))
        # What goes over the wire is the identity: spellings that are cleaned to one are one.
        flusher, key = self._flusher, (before, after)
        series = flusher.table.known.get(key)
        if series is not None:
            return series
        if len(flusher.table.known) >= self._limit:
            return self._overflow(kind, full, rate)
        self._names[kind, full] = None
        return flusher.table.add(self._kinds[kind](flusher, key, before, after))

    def _overflow(self, kind: str, name: str, rate: float) -> Series:
        flusher = self._flusher
        if (kind, name) not in self._names:
            name = _OVERFLOW_NAME
        tags = canonical(_OVERFLOW_TAG, self._tags)
        before, after = (part.encode() for part in frame(name, kind, rate, tags))
        key = (before, after)
        series = flusher.table.overflow.get(key)
        if series is None:
            series = self._kinds[kind](flusher, key, before, after)
            series.is_overflow = True
            series = flusher.table.add(series)
        return series

    def _forget(self, breathe: Callable[[], None]) -> None:
        """Let go of all series, in pieces."""
        for cache in self.caches.values():
            for _ in range(len(cache)):
                _drop_one(cache)
                breathe()
        for _ in range(len(self._names) - 2 * self._limit):
            _drop_one(self._names)
            breathe()

    def _reject(self, samples: int) -> None:
        self._flusher.drop("bad_argument", samples)


def spelling(name: str, tags: TagsLike) -> object:
    """Return the key of a call whose tags are a dict, a list or a tuple; None for any other.

    It has the types too: 1, 1.0 and True are equal, and are three tags. Only calls that `_is_plain`
    lets pass are stored under such a key.
    """
    kind = type(tags)
    if kind is dict:
        both = [*tags, *tags.values()]  # type: ignore[union-attr, misc]
        return (name, *both, *map(type, both))
    if kind is list or kind is tuple:
        return (kind, name, *tags, *map(type, tags))  # type: ignore[misc, arg-type]
    return None


def clamp(rate: float) -> float:
    """Return the rate within 0 to 1; the receiver clamps at the same lower bound."""
    if rate >= 1:
        return 1
    if rate > 0:
        return max(float(rate), MIN_RATE)
    if rate <= 0:
        return 0
    raise ValueError("cannot sample: the rate is NaN")


def _kinds(aggregate: bool, packed: bool) -> dict[str, type[Series]]:
    if not aggregate:
        from vitald.client.exact import KINDS  # noqa: PLC0415  most clients sum up

        return KINDS
    samples = SampleSeries if packed else SingleSeries
    return {
        "c": CounterSeries,
        "g": GaugeSeries,
        "s": SetSeries,
        "ms": samples,
        "h": samples,
        "d": samples,
    }


def settled(tags: TagsLike, labels: Mapping[str, object] | None) -> TagsLike:
    """Return tags that can be read twice, with the labels over them."""
    if labels:
        if tags is None:
            return labels
        merged: dict[str, object] = {**dict(canonical(tags))}
        merged.update(labels)
        return merged
    if tags is None or isinstance(tags, dict | list | tuple | str):
        return tags
    return dict(canonical(tags))


def _is_plain(name: object, tags: Any) -> bool:
    """Return whether equal spellings of such a call mean equal tags, now and later."""
    if type(name) is not str:
        return False
    if tags is None:
        return True
    if type(tags) is dict:
        return (
            all(type(key) is str for key in tags)
            and _PLAIN.issuperset(map(type, tags.values()))
            # 0.0 and -0.0 are equal, and two tags.
            and not any(type(value) is float and value == 0 for value in tags.values())
        )
    return type(tags) in {list, tuple} and all(type(tag) is str for tag in tags)


def _full_spelling(name: str, rate: float, tags: Any) -> object:
    """Return a key that is the same for the same spelling of any call.

    Values go in as text: the objects may change, and may be equal and have two texts. Their types
    go in too: bytes are decoded on the wire, and their text is another's.
    """
    if tags is None:
        return (name, rate)
    if isinstance(tags, dict):
        both = [*tags, *tags.values()]
        return (name, rate, *map(str, both), *map(type, both))
    if isinstance(tags, str):
        return (name, rate, tags)
    return (name, rate, _LISTED, *map(_element, tags))


def _element(tag: Any) -> object:
    if type(tag) is str:
        return tag
    if isinstance(tag, str):
        return (type(tag), tag)
    return (type(tag), *map(str, tag), *map(type, tag))


def _drop_one(cache: dict[Any, Any]) -> None:
    try:
        cache.popitem()
    except KeyError:  # somebody else was faster
        return


def _ignore(_: int) -> None:
    """Record nothing: the handle's rate is 0."""
