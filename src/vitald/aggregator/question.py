"""What a request asks for: query parameters -> a question. Every fault is a `UsageError`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vitald.aggregator.selector import Selector
from vitald.config.suggest import suggestion
from vitald.config.units import quoted, read_duration, write_duration
from vitald.errors import UsageError
from vitald.metric import MetricType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Parameters = Iterable[tuple[str, str]]

FORMATS = ("json", "ndjson", "csv", "prometheus")
WATCHED = ("metrics", "health", "stats")
SORT_KEYS = (
    *("name", "type", "count", "rate", "sum", "min", "max", "mean", "last", "unique"),
    *("p50", "p90", "p95", "p99"),
)
_LEAST_WINDOW = 1.0
DEFAULT_EVERY = 2.0

_REPEATABLE = frozenset({"name", "tag", "type"})
_METRICS_NAMES = _REPEATABLE | frozenset({"window", "sort", "top"})
# Each pattern costs one match per series.
_MOST_PATTERNS = 64
_MOST_TOP = 1_000_000


@dataclass(frozen=True, slots=True)
class MetricsQuestion:
    """Which series over which window (seconds; None for the usual one), and how they are shown.

    Without `sort` the rows come in the engine's order. `sort` by a number is from the largest,
    with missing numbers last; by `name` and `type` it is alphabetical. `top` keeps the first rows;
    without `sort` it means those with the largest count.
    """

    selector: Selector = field(default_factory=Selector)
    window: float | None = None
    sort: str | None = None
    top: int | None = None
    format: str = "json"


@dataclass(frozen=True, slots=True)
class WatchQuestion:
    """What to send again and again, and every how many seconds."""

    what: str
    every: float
    metrics: MetricsQuestion = field(default_factory=MetricsQuestion)
    names: Sequence[str] = ()


def metrics_question(parameters: Parameters) -> MetricsQuestion:
    """Read `name tag type window sort top format`; the first three may be repeated."""
    values = _collect(parameters, _METRICS_NAMES | {"format"})
    return _metrics(values, _choice(values, "format", FORMATS, "json"))


def export_question(parameters: Parameters) -> MetricsQuestion:
    """Read `window` and `format` (`json`): everything is wanted."""
    values = _collect(parameters, frozenset({"window", "format"}))
    return _metrics(values, _choice(values, "format", ("json",), "json"))


def watch_question(parameters: Parameters) -> WatchQuestion:
    """Read `what` and `interval`, and what the watched document itself takes."""
    values = _collect(parameters, _METRICS_NAMES | {"what", "interval"})
    what = _choice(values, "what", WATCHED, "metrics")
    every = _seconds(values, "interval", DEFAULT_EVERY, low=1.0, high=3600.0)
    if what == "metrics":
        return WatchQuestion(what, every, _metrics(values, "json"))
    allowed = {"what", "interval"} | ({"name"} if what == "health" else set())
    _refuse_others(values, frozenset(allowed))
    return WatchQuestion(what, every, names=tuple(values.get("name", ())))


def names_question(parameters: Parameters) -> Sequence[str]:
    """Read `name`, repeated: which checks."""
    values = _collect(parameters, frozenset({"name"}))
    return tuple(values.get("name", ()))


def limit_question(parameters: Parameters) -> int | None:
    """Read `limit`: how many events."""
    values = _collect(parameters, frozenset({"limit"}))
    return _whole(values, "limit")


def no_question(parameters: Parameters) -> None:
    """Refuse any parameter."""
    _collect(parameters, frozenset())


def _metrics(values: Mapping[str, list[str]], form: str) -> MetricsQuestion:
    sort = _choice(values, "sort", SORT_KEYS, "") or None
    top = _whole(values, "top")
    if form == "prometheus" and (sort or top is not None):
        raise UsageError("cannot sort the prometheus format: its series stand grouped by name")
    selector = Selector(
        names=tuple(values.get("name", ())),
        tags=tuple(_tag(text) for text in values.get("tag", ())),
        types=tuple(_type(text) for text in values.get("type", ())),
    )
    window = None
    if "window" in values:
        window = _seconds(values, "window", 0.0, low=_LEAST_WINDOW, high=31 * 86400.0)
    return MetricsQuestion(selector, window, sort, top, form)


def _collect(parameters: Parameters, allowed: frozenset[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for total, (name, value) in enumerate(parameters, 1):
        if total > _MOST_PATTERNS:
            raise UsageError(f"cannot read the query: more than {_MOST_PATTERNS} parameters")
        if not value:
            raise UsageError(f"cannot read parameter {quoted(name)}: it is empty")
        values.setdefault(name, []).append(value)
    _refuse_others(values, allowed)
    return values


def _refuse_others(values: Mapping[str, list[str]], allowed: frozenset[str]) -> None:
    for name, found in values.items():
        if name not in allowed:
            raise UsageError(
                f"cannot read parameter {quoted(name)}: there is none{suggestion(name, allowed)}"
            )
        if len(found) > 1 and name not in _REPEATABLE:
            raise UsageError(f"cannot read parameter {name}: it is given {len(found)} times")


def _choice(
    values: Mapping[str, list[str]], name: str, choices: Sequence[str], default: str
) -> str:
    if name not in values:
        return default
    value = values[name][0]
    if value not in choices:
        raise UsageError(
            f"cannot read parameter {name}: there is no {name} {quoted(value)}"
            f"{suggestion(value, choices)}"
        )
    return value


def _seconds(
    values: Mapping[str, list[str]], name: str, default: float, *, low: float, high: float
) -> float:
    if name not in values:
        return default
    try:
        seconds = read_duration(values[name][0])
    except ValueError as error:
        raise UsageError(f"cannot read parameter {name}: {error}") from None
    if not low <= seconds <= high:
        raise UsageError(
            f"cannot read parameter {name}: it must be from {write_duration(low)} to "
            f"{write_duration(high)}"
        )
    return seconds


def _whole(values: Mapping[str, list[str]], name: str) -> int | None:
    if name not in values:
        return None
    text = values[name][0]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"cannot read parameter {name}: {quoted(text)} is no whole number")
    number = int(text)
    if not 1 <= number <= _MOST_TOP:
        raise UsageError(f"cannot read parameter {name}: {text} is not from 1 to {_MOST_TOP}")
    return number


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key:
        raise UsageError(f"cannot read parameter tag: {quoted(text)} has no key before =")
    return key, value if equals else "*"


def _type(text: str) -> MetricType:
    try:
        return MetricType(text)
    except ValueError:
        words = [kind.value for kind in MetricType]
        raise UsageError(
            f"cannot read parameter type: there is no type {quoted(text)}{suggestion(text, words)}"
        ) from None
