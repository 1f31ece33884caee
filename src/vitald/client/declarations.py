"""One declared metric: what it is called, what it measures, and the handles of its series.

A metric without tags is used as its handle is: `jobs.inc()`. One with tags gives a handle for each
combination of their values: `jobs.labels(queue="mail").inc()`.
"""

from __future__ import annotations

from vitald.wire.encode import clean_name, clean_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import timedelta
    from types import TracebackType
    from typing import Any, Generic, NoReturn, TypeVar

    from vitald.client.client import Client
    from vitald.client.handles import Counter, Distribution, Gauge, Histogram, Set, Timer

    H = TypeVar("H")
    F = TypeVar("F", bound=Callable[..., Any])

    class _Of(Generic[H]):
        __slots__ = ()

else:
    # The import of `typing` costs more than the client's.
    H = Counter = Distribution = Gauge = Histogram = Set = Timer = None

    class _Of:
        __slots__ = ()

        def __class_getitem__(cls, _: object) -> type:
            return cls


# So many handles are remembered for each metric.
_LIMIT = 1000

# Types whose equal values have equal texts; floats have not (-0.0).
_PLAIN = frozenset({str, int, bool, type(None)})

# What records through a handle.
_RECORDING = frozenset({
    "inc", "dec", "set", "add", "record",
    "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__",
})  # fmt: skip


class UndeclaredMetric(ValueError):  # noqa: N818  it reads as what happened
    """An ad-hoc call says a name that is not declared, or not for its type."""


class WrongTags(ValueError):  # noqa: N818  as above
    """The tags of a call are not those that its metric declares."""


class Metric(_Of[H]):
    """A declared metric; `H` is the type of its handles."""

    __slots__ = (
        "_client", "_handle", "_handles", "_keys", "_nowhere", "_refuse",
        "description", "name", "tags", "unit",
    )  # fmt: skip

    kind: str

    def __init__(
        self,
        client: Client,
        refuse: Callable[[ValueError], None],
        name: str,
        *,
        unit: str,
        tags: Sequence[str],
        description: str,
    ) -> None:
        self._client, self._refuse = client, refuse
        self.name, self.tags = name, _checked(name, tags)
        self.unit, self.description = unit, description
        self._keys = frozenset(self.tags)
        self._handles: dict[tuple[Any, ...], H] = {}
        self._nowhere: H | None = None
        without: Any = _Without(self)
        self._handle: H = without if self.tags else self.labels()

    def labels(self, /, **values: object) -> H:
        """Return the handle of one series; every declared tag needs a value.

        With other tags: `WrongTags` in strict mode, else a handle whose values are dropped and
        counted.
        """
        key: tuple[Any, ...] = (*values, *values.values())
        for value in values.values():
            if type(value) is not str:
                # 1, 1.0 and True are equal, and are three tags.
                key = (*key, *map(type, key))
                break
        try:
            return self._handles[key]
        except Exception:  # a new combination, or objects that cannot be compared
            return self._find(key, values)

    def describe(self) -> dict[str, Any]:
        """Return the declaration as plain values."""
        return {
            "name": self.name,
            "type": self.kind,
            "unit": self.unit,
            "tags": list(self.tags),
            "description": self.description,
        }

    def check(self, keys: frozenset[str]) -> WrongTags | None:
        """Return what is wrong with the keys of a call's tags."""
        if keys == self._keys:
            return None
        unknown = sorted(map(repr, keys - self._keys))
        missing = sorted(map(repr, self._keys - keys))
        causes = [f"{', '.join(unknown)} not declared"] if unknown else []
        if missing:
            causes.append(f"{', '.join(missing)} missing")
        return WrongTags(f"cannot record {self.name}: tags: {'; '.join(causes)}")

    def _find(self, key: tuple[Any, ...], values: dict[str, object]) -> H:
        error = self.check(frozenset(values))
        if error is not None:
            return self._reject(error)
        handle = self._bind(self.name, {tag: values[tag] for tag in self.tags})
        if _PLAIN.issuperset(map(type, values.values())):
            if len(self._handles) >= _LIMIT:
                self._handles.clear()
            self._handles[key] = handle
        return handle

    def _bind(self, name: str, tags: dict[str, object]) -> H:
        handle: H = getattr(self._client, self.kind)(name, tags=tags)
        return handle

    def _reject(self, error: WrongTags) -> H:
        self._refuse(error)
        if self._nowhere is None:
            # The client's own handle for what no line can say: it drops and counts.
            self._nowhere = self._bind("", {})
        return self._nowhere

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{{{','.join(self.tags)}}}>"


class _Without:
    """In place of the handle of a metric with tags: recording without them is wrong.

    Looking is not: `inspect` and `unittest.mock` look at whatever there is.
    """

    __slots__ = ("_metric",)

    def __init__(self, metric: Metric[Any]) -> None:
        self._metric = metric

    def __getattr__(self, name: str) -> Any:
        if name not in _RECORDING:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        metric: Any = self._metric
        return getattr(metric._reject(metric.check(frozenset())), name)  # noqa: SLF001


class CounterMetric(Metric[Counter]):
    """A declared counter."""

    __slots__ = ()
    kind = "counter"

    def inc(self, count: float = 1) -> None:
        """Add `count`."""
        self._handle.inc(count)

    def dec(self, count: float = 1) -> None:
        """Subtract `count`."""
        self._handle.dec(count)


class GaugeMetric(Metric[Gauge]):
    """A declared gauge."""

    __slots__ = ()
    kind = "gauge"

    def set(self, value: float) -> None:
        """Set the level."""
        self._handle.set(value)

    def inc(self, step: float = 1) -> None:
        """Raise the level, whatever it is."""
        self._handle.inc(step)

    def dec(self, step: float = 1) -> None:
        """Lower the level, whatever it is."""
        self._handle.dec(step)


class SetMetric(Metric[Set]):
    """A declared set."""

    __slots__ = ()
    kind = "set"

    def add(self, member: object) -> None:
        """Add a member; it is sent as text."""
        self._handle.add(member)


class HistogramMetric(Metric[Histogram]):
    """A declared histogram."""

    __slots__ = ()
    kind = "histogram"

    def record(self, value: float) -> None:
        """Add a sample."""
        self._handle.record(value)


class DistributionMetric(Metric[Distribution]):
    """A declared distribution."""

    __slots__ = ()
    kind = "distribution"

    def record(self, value: float) -> None:
        """Add a sample."""
        self._handle.record(value)


class TimerMetric(Metric[Timer]):
    """A declared timer: a block and a decorator, as its handle is."""

    __slots__ = ()
    kind = "timer"

    @property
    def ms(self) -> float | None:
        """The last duration measured, in milliseconds."""
        return None if self.tags else self._handle.ms

    def record(self, milliseconds: float | timedelta) -> None:
        """Add a duration, in milliseconds or as a timedelta."""
        self._handle.record(milliseconds)

    def __call__(self, function: F) -> F:
        """Measure every call of `function`."""
        return self._handle.__call__(function)

    def __enter__(self) -> Timer:
        return self._handle.__enter__()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered().__exit__(error_type, error, trace)

    def __aenter__(self) -> Coroutine[Any, Any, Timer]:
        return self._handle.__aenter__()

    def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        return self._entered().__aexit__(error_type, error, trace)

    def _entered(self) -> Timer:
        # What was wrong has been counted when the block was entered.
        return self._nowhere if self.tags and self._nowhere is not None else self._handle


def _checked(name: object, tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags; ValueError where the name or a tag would not reach the wire as it is."""
    if not name or clean_name(name) != name:
        _fail(name, "no line can have that name")
    if isinstance(tags, str):
        _fail(name, f"its tags are one text: write ({tags!r},)")
    found = tuple(tags)
    for tag in found:
        if not tag or clean_tag(tag)[0] != tag:
            _fail(name, f"no line can have a tag {tag!r}")
    if len(set(found)) < len(found):
        _fail(name, "a tag is there twice")
    return found


def _fail(name: object, cause: str) -> NoReturn:
    raise ValueError(f"cannot declare {name!r}: {cause}")
