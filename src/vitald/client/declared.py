"""Declared metrics: name, type, unit and tags said once, at one place.

    metrics = Metrics(client)
    jobs = metrics.counter("jobs_total", tags=("queue",), description="Jobs that were taken.")
    jobs.labels(queue="mail").inc()

A call with other tags records nothing: with `strict`, for tests, it is a `WrongTags`, otherwise its
values are dropped and counted. `document` says what a service measures.
"""

from __future__ import annotations

import os

from vitald.client.accounts import Tally
from vitald.client.declarations import (
    CounterMetric,
    DistributionMetric,
    GaugeMetric,
    HistogramMetric,
    Metric,
    SetMetric,
    TimerMetric,
    UndeclaredMetric,
    WrongTags,
)

TYPE_CHECKING = False
if not TYPE_CHECKING:

    def overload(function):  # noqa: ANN001, ANN202  the import of `typing` costs more than ours
        return function


if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar, overload  # noqa: TC004  see above

    from vitald.client.client import Client
    from vitald.client.handles import Counter, Distribution, Gauge, Histogram, Set, Timer

    M = TypeVar("M", bound=Metric[Any])

__all__ = [
    "CounterMetric",
    "DistributionMetric",
    "GaugeMetric",
    "HistogramMetric",
    "Metric",
    "Metrics",
    "SetMetric",
    "TimerMetric",
    "UndeclaredMetric",
    "WrongTags",
]

# So many different faults are told apart.
_FAULTS = 100
_OTHERS = "others"


class Metrics:
    """The metrics that a service declares, and the client that records them.

    A name is declared once: again and differently is a ValueError, as is a name or tag that no
    line can have. With `strict`, wrong tags and names that are not declared raise where they are
    used.
    """

    def __init__(self, client: Client, strict: bool = False) -> None:
        self._client, self.strict = client, strict
        self._declared: dict[str, Metric[Any]] = {}
        # By process: in the child of a fork the parent's tallies may be locked for ever.
        self._faults: dict[int, dict[str, Tally]] = {}
        self._guard: Any = client
        if strict:
            from vitald.client.strict import StrictClient  # noqa: PLC0415  tests only

            self._guard = StrictClient(client, self._declared, self._refuse)

    @overload
    def counter(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> CounterMetric: ...
    @overload
    def counter(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Counter]: ...
    def counter(
        self, name: str, *, unit: str = "", tags: Sequence[str] = (), description: str = ""
    ) -> Metric[Counter]:
        """Declare a counter."""
        return self._declare(CounterMetric, name, unit=unit, tags=tags, description=description)

    @overload
    def gauge(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> GaugeMetric: ...
    @overload
    def gauge(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Gauge]: ...
    def gauge(
        self, name: str, *, unit: str = "", tags: Sequence[str] = (), description: str = ""
    ) -> Metric[Gauge]:
        """Declare a gauge."""
        return self._declare(GaugeMetric, name, unit=unit, tags=tags, description=description)

    @overload
    def timer(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> TimerMetric: ...
    @overload
    def timer(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Timer]: ...
    def timer(
        self,
        name: str,
        *,
        unit: str = "milliseconds",
        tags: Sequence[str] = (),
        description: str = "",
    ) -> Metric[Timer]:
        """Declare a timer."""
        return self._declare(TimerMetric, name, unit=unit, tags=tags, description=description)

    @overload
    def histogram(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> HistogramMetric: ...
    @overload
    def histogram(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Histogram]: ...
    def histogram(
        self, name: str, *, unit: str = "", tags: Sequence[str] = (), description: str = ""
    ) -> Metric[Histogram]:
        """Declare a histogram."""
        return self._declare(HistogramMetric, name, unit=unit, tags=tags, description=description)

    @overload
    def distribution(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> DistributionMetric: ...
    @overload
    def distribution(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Distribution]: ...
    def distribution(
        self, name: str, *, unit: str = "", tags: Sequence[str] = (), description: str = ""
    ) -> Metric[Distribution]:
        """Declare a distribution."""
        return self._declare(
            DistributionMetric, name, unit=unit, tags=tags, description=description
        )

    @overload
    def set(
        self, name: str, *, unit: str = ..., tags: tuple[()] = ..., description: str = ...
    ) -> SetMetric: ...
    @overload
    def set(
        self, name: str, *, unit: str = ..., tags: Sequence[str], description: str = ...
    ) -> Metric[Set]: ...
    def set(
        self, name: str, *, unit: str = "", tags: Sequence[str] = (), description: str = ""
    ) -> Metric[Set]:
        """Declare a set."""
        return self._declare(SetMetric, name, unit=unit, tags=tags, description=description)

    @property
    def client(self) -> Client:
        """The client for ad-hoc calls; with `strict` it refuses what is not declared so."""
        return self._guard  # type: ignore[no-any-return]

    def faults(self) -> dict[str, int]:
        """Return what was used wrongly, and how often."""
        return {text: tally.value() for text, tally in self._tallies().copy().items()}

    def document(self) -> list[dict[str, Any]]:
        """Return name, type, unit, tags and description of every metric, as plain values."""
        return [metric.describe() for _, metric in sorted(self._declared.copy().items())]

    def markdown(self) -> str:
        """Return the same as a table in Markdown."""
        head = ["| metric | type | unit | tags | description |", "|---|---|---|---|---|"]
        return "\n".join([*head, *map(_row, self.document()), ""])

    def _declare(self, kind: type[M], name: str, **declaration: Any) -> M:
        metric = kind(self._client, self._refuse, name, **declaration)
        earlier = self._declared.setdefault(name, metric)
        old, new = earlier.describe(), metric.describe()
        for key, value in new.items():
            if value != old[key]:
                cause = f"its {key} is {value!r}, and was {old[key]!r}"
                raise ValueError(f"cannot declare {name!r} again: {cause}")
        same: Any = earlier  # and so of the same class
        return same  # type: ignore[no-any-return]

    def _refuse(self, error: ValueError) -> None:
        # Without a lock: a signal handler may record, and so may the child of a fork.
        text, tallies = str(error), self._tallies()
        tally = tallies.get(text)
        if tally is None:
            text = text if len(tallies) < _FAULTS else _OTHERS
            tally = tallies.setdefault(text, Tally())
        tally.add(1)
        if self.strict:
            raise error

    def _tallies(self) -> dict[str, Tally]:
        return self._faults.setdefault(os.getpid(), {})


def _row(metric: dict[str, Any]) -> str:
    tags = ", ".join(f"`{tag}`" for tag in metric["tags"])
    cells = [f"`{metric['name']}`", metric["type"], metric["unit"], tags, metric["description"]]
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
