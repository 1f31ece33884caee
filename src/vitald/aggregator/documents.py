"""The JSON documents: how one row, check, event or ledger is written. Pure, no clock, no I/O.

Numbers that are missing or not finite are null. Output is ASCII (everything else is escaped), so
that a document can be shown on a terminal without carrying control characters to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vitald.metric import MetricType

if TYPE_CHECKING:
    from vitald.aggregator.claims import Balance, Claims, ClientBook
    from vitald.aggregator.interval import Ledger, Row
    from vitald.metric import Tags
    from vitald.status import Status

Json = dict[str, object]

FRACTIONS = (0.5, 0.9, 0.95, 0.99)
_QUANTILE_KEYS = tuple(str(fraction) for fraction in FRACTIONS)
_NO_QUANTILES = [None] * len(FRACTIONS)

CSV_COLUMNS = (
    *("name", "type", "tags", "count", "rate", "sum", "min", "max", "mean", "last", "unique"),
    *(f"p{fraction * 100:g}" for fraction in FRACTIONS),
)

_CSV_MARKS = (",", '"', "\r", "\n")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EXACT = 2.0**53  # beyond it not every integer is a float
_WORD = {kind: kind.value for kind in MetricType}
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Report(Protocol):
    """What is read of a check's report; `vitald.checks.base.CheckReport` has this shape."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def label(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def since(self) -> float | None: ...
    @property
    def last_run(self) -> float | None: ...
    @property
    def duration_seconds(self) -> float | None: ...
    @property
    def flags(self) -> Sequence[str]: ...
    @property
    def observations(self) -> Mapping[str, float | None]: ...
    @property
    def raw(self) -> RawResult | None: ...


class Reading(Protocol):
    """One number that a check read; `key` is `name` or `name{tag=value,…}`."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> float | None: ...


class RawResult(Protocol):
    """What one run of a check found, before any hysteresis."""

    @property
    def status(self) -> Status: ...
    @property
    def message(self) -> str: ...
    @property
    def observations(self) -> Sequence[Reading]: ...


class Measured(NamedTuple):
    """A row with what follows from it: its rate per second and its quantiles at `FRACTIONS`."""

    row: Row
    rate: float | None
    quantiles: Sequence[float | None]


def measure(row: Row, seconds: float) -> Measured:
    """Return `row` with its rate over `seconds` (None when that is 0) and its quantiles."""
    amount = row.sum if row.type is MetricType.COUNTER else row.count
    rate = amount / seconds if seconds > 0 else None
    if row.histogram is None:
        return Measured(row, rate, ())
    return Measured(row, rate, row.histogram.quantiles(FRACTIONS))


def rfc3339(seconds: float | None) -> str | None:
    """Return Unix seconds as RFC 3339 in UTC with milliseconds; None outside years 1 to 9999."""
    if seconds is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=round(seconds * 1000))
    except (OverflowError, ValueError):  # past the calendar; not a number
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def dump(document: object) -> str:
    """Return a document as one line of JSON, its numbers written as `number` writes them."""
    return _encode(_plain(document))


def number(value: float | None) -> str:
    """Return a number as JSON text: whole numbers without a fraction, null when not finite."""
    if value is None:
        return "null"
    if value == value // 1 and -_EXACT <= value <= _EXACT:
        return f"{int(value)}"
    return repr(value) if isfinite(value) else "null"


def metric_json(measured: Measured) -> str:
    """Return one entry of a metrics document."""
    row, rate, quantiles = measured
    tags = ",".join([f"{_quoted(key)}:{_quoted(value)}" for key, value in row.tags])
    marks = ",".join(
        [f'"{k}":{number(q)}' for k, q in zip(_QUANTILE_KEYS, quantiles, strict=False)]
    )
    head = (
        f'{{"name":{_quoted(row.name)},"type":"{_WORD[row.type]}","tags":{{{tags}}},'
        f'"count":{number(row.count)},"rate":{number(rate)},'
    )
    if row.type is MetricType.SET:  # members are strings: they have no sum
        body = '"sum":null,"min":null,"max":null,"mean":null,'
    else:
        body = (
            f'"sum":{number(row.sum)},"min":{number(row.min)},"max":{number(row.max)},'
            f'"mean":{number(row.mean)},'
        )
    return (
        f"{head}{body}"
        f'"last":{number(row.last)},"unique":{number(row.unique)},"quantiles":{{{marks}}}}}'
    )


def metric_csv(measured: Measured) -> str:
    """Return a row as one RFC 4180 line (see `CSV_COLUMNS`); a missing number is empty."""
    row, rate, quantiles = measured
    numbers: tuple[float | None, ...] = (row.count, rate, row.sum, row.min, row.max, row.mean)
    if row.type is MetricType.SET:
        numbers = (row.count, rate, None, None, None, None)
    all_numbers = (*numbers, row.last, row.unique, *(quantiles or _NO_QUANTILES))
    texts = ",".join([number(value) for value in all_numbers]).replace("null", "")
    return f"{_csv_field(row.name)},{_WORD[row.type]},{_csv_field(tags_text(row.tags))},{texts}\r\n"


def tags_text(tags: Tags) -> str:
    """Return tags as people write them: `key=value,key=value`, a bare tag without `=`."""
    return ",".join([f"{key}={value}" if value else key for key, value in tags])


def health_entry(report: Report) -> Json:
    """Return one entry of a health document."""
    return {
        "name": report.name,
        "type": report.type,
        "status": report.status.word,
        "code": int(report.status),
        "label": report.label,
        "message": report.message,
        "since": rfc3339(report.since),
        "last_run": rfc3339(report.last_run),
        "duration_seconds": report.duration_seconds,
        "flags": list(report.flags),
        "observations": dict(report.observations),
    }


def run_document(report: Report, time: str | None) -> Json:
    """Return a health entry with `result`: what the run itself found, before `fail_after`."""
    raw = report.raw
    result = None
    if raw is not None:
        result = {
            "status": raw.status.word,
            "code": int(raw.status),
            "message": raw.message,
            "observations": {reading.key: reading.value for reading in raw.observations},
        }
    return {"schema": "vitald.check/1", "time": time, **health_entry(report), "result": result}


def response_time(measured: Measured, last: Mapping[str, float | None]) -> Json:
    """Return one entry of `response_times` (seconds); `last` has each check's last duration."""
    row, _, quantiles = measured
    check = dict(row.tags).get("check", "")
    marks = dict(zip(("p50", "p90", "p95", "p99"), quantiles or _NO_QUANTILES, strict=True))
    return {
        "check": check,
        "last": last.get(check),
        "count": row.count,
        "mean": row.mean,
        **marks,
        "max": row.max,
    }


def forwarder_entry(statistics: Mapping[str, object]) -> Json:
    """Return a forwarder's statistics with its instants as RFC 3339."""
    entry = dict(statistics)
    for key in ("last_error_time", "last_sent"):
        value = entry.get(key)
        if isinstance(value, (int, float)):
            entry[key] = rfc3339(value)
    return entry


def ledger_document(ledger: Ledger, time: str | None) -> Json:
    """Return the ledger document; `lines == aggregated + sum(rejected) + sum(shed)`."""
    return {
        "schema": "vitald.ledger/1",
        "time": time,
        "datagrams_received": ledger.datagrams_received,
        "bytes_received": ledger.bytes_received,
        "kernel_dropped": ledger.kernel_dropped,
        "lines": ledger.lines,
        "internal_lines": ledger.internal_lines,
        "values": ledger.values,
        "aggregated": ledger.aggregated,
        "rejected": dict(ledger.rejected),
        "shed": dict(ledger.shed),
        "notes": dict(ledger.notes),
        "late": ledger.late,
        "events": ledger.events,
        "service_checks": ledger.service_checks,
        "series": {
            "active": ledger.series_active,
            "limit": ledger.series_limit,
            "overflowed": ledger.series_overflowed,
        },
        "listeners": dict(ledger.listeners),
        "last_rejected": list(ledger.last_rejected),
        "client_reported": dict(ledger.client_reported),
    }


def clients_section(claims: Claims, worst: int | None = None) -> Json:
    """Return the part of the ledger that is about clients: those seen last first.

    With `worst`, only so many, those that lost the most samples.
    """
    books = claims.books()
    if worst is not None:
        books = sorted(books, key=lambda book: -book.samples.lost)[:worst]
    return {
        "clients": [_client_entry(book) for book in books],
        "clients_total": asdict(claims.totals()),
    }


def _client_entry(book: ClientBook) -> Json:
    return {
        "client": book.client,
        **_balance("", book.samples),
        **_balance("_datagrams", book.datagrams),
        "last_seen": rfc3339(book.last_seen),
        "dropped": dict(book.dropped),
    }


def _balance(kind: str, balance: Balance) -> Json:
    return {
        f"claimed{kind}": balance.claimed,
        f"received{kind}": balance.received,
        f"lost{kind}": balance.lost,
    }


def _csv_field(text: str) -> str:
    if any(mark in text for mark in _CSV_MARKS):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain(value: object) -> object:
    if isinstance(value, float):
        if value == value // 1 and -_EXACT <= value <= _EXACT:
            return int(value)
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
