"""The dashboard provider: the one place where metrics, health, performance and events meet.

Documents with one entry per series are streamed: rows are rendered in slices, and the event loop,
which also drains the sockets, gets its turn after each.
"""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Any

from vitald.aggregator import probes
from vitald.aggregator.claims import Claims
from vitald.aggregator.documents import (
    CSV_COLUMNS,
    clients_section,
    dump,
    forwarder_entry,
    health_entry,
    ledger_document,
    measure,
    metric_csv,
    metric_json,
    number,
    response_time,
    rfc3339,
)
from vitald.aggregator.exposition import SLICE, Exposition
from vitald.aggregator.offload import Offloaded
from vitald.aggregator.ordering import Ordering
from vitald.aggregator.selector import Selector
from vitald.aggregator.telemetry import NAMES, Snapshot, telemetry
from vitald.errors import VitaldError
from vitald.metric import SAMPLED_TYPES
from vitald.status import worst

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence

    from vitald.aggregator.documents import Json, Measured, Report
    from vitald.aggregator.engine import Source
    from vitald.aggregator.events import EventLog
    from vitald.aggregator.interval import Answer, Interval
    from vitald.aggregator.question import MetricsQuestion
    from vitald.clock import Clock, Instant

RESPONSE_TIMES = "check_duration_seconds"
RESPONSE_WINDOW = 300.0
# What a question without a window is about, where there is such a window.
DEFAULT_WINDOW = 60.0
PERFORMANCE_KEYS = ("cpu", "memory", "disk", "disk_io", "network", "process")
_PERFORMANCE_LISTS = frozenset({"disk", "disk_io"})
# Clients that `stats` shows of those in the ledger: the ones that lost the most.
_WORST_CLIENTS = 10


class UnknownCheckError(VitaldError):
    """No check has that name."""


class Dashboard:
    """Assembles every document (see docs/control-api.md for their shapes).

    `health` returns the reports of all checks and `performance` the sections of `stats` (a dict
    with `PERFORMANCE_KEYS`; it may block). `required` names the checks without which the sidecar
    is not ready, `ready` returns what else is missing (sockets, configuration), one phrase each.
    `interval` is the flush interval in seconds, `started` when the sidecar started,
    `engine_reason` why it is this engine. `claims` is what clients claim to have sent; whoever
    seals keeps it. The scrape page holds totals for `series_limit` series,
    each for `series_expiry` seconds of silence.
    """

    def __init__(
        self,
        engine: Source,
        *,
        clock: Clock,
        host: str,
        version: str,
        started: Instant,
        interval: float,
        health: Callable[[], Sequence[Report]],
        performance: Callable[[], Mapping[str, Any]],
        events: EventLog,
        forwarders: Callable[[], Sequence[Mapping[str, object]]] = tuple,
        ledger_extra: Callable[[], Mapping[str, object]] = dict,
        required: Callable[[], Collection[str]] = tuple,
        ready: Callable[[], Sequence[str]] = tuple,
        engine_reason: str = "",
        claims: Claims | None = None,
        series_limit: int = 100_000,
        series_expiry: float = 3600.0,
        longest_window: float = 3600.0,
    ) -> None:
        self.events = events
        self._engine = engine
        self._clock = clock
        self._host = host
        self._version = version
        self._started = started
        self._interval = interval
        self._health = health
        self._performance = Offloaded(performance, clock)
        self._forwarders = forwarders
        self._ledger_extra = ledger_extra
        self._required = required
        self._engine_reason = engine_reason
        self._claims = claims or Claims(started.wall)
        self._longest_window = longest_window
        self._ready = ready
        self._exposition = Exposition(limit=series_limit, expiry=series_expiry, reserved=NAMES)
        self._sealed = started.monotonic

    async def observe(self, interval: Interval) -> None:
        """Take a newly sealed interval; call it for each once (not for corrections), in order."""
        self._sealed = self._clock.now().monotonic
        self.events.add_interval(interval)
        await self._exposition.observe(interval)

    def metrics(self, question: MetricsQuestion) -> AsyncGenerator[str, None]:
        """Stream the rows of `question` in its format."""
        window = question.window or self._at_most(DEFAULT_WINDOW)
        if question.format == "prometheus":
            return self._exposition.render(self._engine, question.selector, window)
        answer = self._engine.query(question.selector, window)
        if question.format == "json":
            return self._metrics_json(question, window, answer)
        return self._metrics_lines(question, answer)

    async def prometheus(self) -> AsyncGenerator[str, None]:
        """Stream the scrape page: the sidecar's own families, then all series."""
        yield telemetry(
            Snapshot(
                self._version,
                self._engine.name,
                self._uptime(),
                self._engine.ledger(),
                self._health(),
                self._forwarders(),
                self._exposition,
                self._claims.totals(),
            )
        )
        async for piece in self._exposition.render(
            self._engine, Selector(), self._at_most(DEFAULT_WINDOW)
        ):
            yield piece

    def health(self, names: Sequence[str] = ()) -> Json:
        """Return the checks that match any of the globs `names`, all without one.

        The status is the worst of those. Raises UnknownCheckError for a glob that matches none.
        """
        reports = self._health()
        for name in names:
            if not any(fnmatchcase(report.name, name) for report in reports):
                raise UnknownCheckError(f"cannot show check {name[:100]}: there is none")
        if names:
            reports = [r for r in reports if any(fnmatchcase(r.name, name) for name in names)]
        status = worst([report.status for report in reports])
        return {
            "schema": "vitald.health/1",
            "time": self.time(),
            "host": self._host,
            "status": status.word,
            "code": int(status),
            "checks": [health_entry(report) for report in reports],
        }

    def has_check(self, name: str) -> bool:
        """Say whether there is a check of that very name."""
        return any(report.name == name for report in self._health())

    async def stats(self) -> Json:
        """Return performance, response times and the sidecar's own accounts."""
        performance, faults = await self._sections()
        response_times = await self._response_times(faults)
        return {
            "schema": "vitald.stats/1",
            "time": self.time(),
            "host": self._host,
            "version": self._version,
            "uptime_seconds": self._uptime(),
            "engine": self._engine.name,
            "engine_reason": self._engine_reason,
            **performance,
            "response_times": response_times,
            "ledger": self.ledger(_WORST_CLIENTS),
            "forwarders": [forwarder_entry(entry) for entry in self._forwarders()],
            "events": {"received": self.events.received, "own": self.events.own},
            "faults": faults,
        }

    def ledger(self, worst: int | None = None) -> Json:
        """Return where every line went; of the clients only the `worst` so many, if given."""
        return {
            **ledger_document(self._engine.ledger(), self.time()),
            **clients_section(self._claims, worst),
            **self._ledger_extra(),
        }

    def recent_events(self, limit: int | None = None) -> Json:
        """Return the last events, the newest first."""
        return {
            "schema": "vitald.events/1",
            "time": self.time(),
            "host": self._host,
            "events": self.events.documents(limit),
        }

    async def export(self, question: MetricsQuestion) -> AsyncGenerator[str, None]:
        """Stream everything as one document."""
        metrics = self.metrics(question)  # refuses before anything is written
        stats = dump(await self.stats())
        head = dump({"schema": "vitald.export/1", "time": self.time(), "host": self._host})
        yield f'{head[:-1]},"health":{dump(self.health())},"stats":{stats},"metrics":'
        async for piece in metrics:
            yield piece
        yield f',"events":{dump(self.events.documents())}}}'

    def alive(self) -> tuple[bool, Json]:
        """Say whether the event loop answers and intervals are still being sealed."""
        age = self._clock.now().monotonic - self._sealed
        return probes.alive(age, self._interval)

    def ready(self) -> tuple[bool, Json]:
        """Say whether the sidecar can do its work: nothing missing, no required check failing."""
        return probes.ready(self._ready(), self._health(), self._required())

    def healthy(self) -> tuple[bool, Json]:
        """Return the state of all checks in the form of draft-inadarei-api-health-check."""
        return probes.healthy(self._health(), host=self._host, version=self._version)

    def time(self) -> str | None:
        """Return the present time as documents show it."""
        return rfc3339(self._clock.now().wall)

    def _at_most(self, window: float) -> float:
        return min(window, self._longest_window)

    def _uptime(self) -> float:
        return self._clock.now().monotonic - self._started.monotonic

    async def _sections(self) -> tuple[Json, list[str]]:
        faults: list[str] = []
        found: Mapping[str, Any] = {}
        try:
            found = await self._performance.get()
        except asyncio.TimeoutError:
            faults.append("cannot read the machine's performance: no answer in time")
        except Exception as error:
            faults.append(f"cannot read the machine's performance: {error}")
        empty: Json = {key: [] if key in _PERFORMANCE_LISTS else {} for key in PERFORMANCE_KEYS}
        return {key: found.get(key, empty[key]) for key in PERFORMANCE_KEYS}, faults

    async def _response_times(self, faults: list[str]) -> list[Json]:
        selector = Selector(names=(RESPONSE_TIMES,), types=tuple(SAMPLED_TYPES))
        last = {report.name: report.duration_seconds for report in self._health()}
        try:
            answer = self._engine.query(selector, self._at_most(RESPONSE_WINDOW))
        except VitaldError as error:  # the configured windows are shorter
            faults.append(str(error))
            return []
        found = [
            response_time(measured, last) async for batch in _measured(answer) for measured in batch
        ]
        return sorted(found, key=lambda entry: str(entry["check"]))

    async def _metrics_json(
        self, question: MetricsQuestion, window: float, answer: Answer
    ) -> AsyncGenerator[str, None]:
        has_slots = answer.seconds > 0
        head = dump(
            {
                "schema": "vitald.metrics/1",
                "time": self.time(),
                "host": self._host,
                "window_seconds": window,
                "complete": answer.complete,
                "from": rfc3339(answer.start) if has_slots else None,
                "to": rfc3339(answer.end) if has_slots else None,
                "covered_seconds": answer.seconds,
            }
        )
        yield f'{head[:-1]},"metrics":['
        comma, shown = "", 0
        async for batch in _rendered(question, answer, metric_json):
            yield comma + ",".join(batch)
            comma, shown = ",", shown + len(batch)
        yield f'],"shown":{number(shown)}}}'

    async def _metrics_lines(
        self, question: MetricsQuestion, answer: Answer
    ) -> AsyncGenerator[str, None]:
        is_csv = question.format == "csv"
        yield ",".join(CSV_COLUMNS) + "\r\n" if is_csv else ""
        async for batch in _rendered(question, answer, metric_csv if is_csv else _ndjson):
            yield "".join(batch)


def _ndjson(measured: Measured) -> str:
    return f"{metric_json(measured)}\n"


async def _measured(answer: Answer) -> AsyncGenerator[list[Measured], None]:
    """Yield the rows in slices, with a turn of the event loop after each."""
    seconds = answer.seconds
    for batch in answer.rows():
        await asyncio.sleep(0)  # making a batch took its time, also when it is empty
        for start in range(0, len(batch), SLICE):
            yield [measure(row, seconds) for row in batch[start : start + SLICE]]
            await asyncio.sleep(0)


async def _rendered(
    question: MetricsQuestion, answer: Answer, render: Callable[[Measured], str]
) -> AsyncGenerator[list[str], None]:
    """Yield the rows as text, in the order asked for, in slices."""
    sort = question.sort or ("count" if question.top is not None else None)
    if sort is None:
        async for batch in _measured(answer):
            yield [render(measured) for measured in batch]
        return
    ordering = Ordering(sort, question.top, render)
    async for batch in _measured(answer):
        ordering.add(batch)
    rows = iter(ordering)
    while texts := list(islice(rows, SLICE)):
        yield texts
        await asyncio.sleep(0)
