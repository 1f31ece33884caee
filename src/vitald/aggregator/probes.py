"""What orchestrators ask: alive, ready, healthy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.aggregator.documents import rfc3339
from vitald.status import Status, worst

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from vitald.aggregator.documents import Json, Report

# Intervals without a seal after which the flusher counts as dead, and what a stopped and
# continued process may be late by.
_MOST_INTERVALS = 3
_GRACE = 5.0

# draft-inadarei-api-health-check-06 knows three words. A check that cannot be evaluated is no
# confirmed failure.
_DRAFT_WORDS = {
    Status.HEALTHY: "pass",
    Status.WARNING: "warn",
    Status.UNKNOWN: "warn",
    Status.CRITICAL: "fail",
}


def alive(age: float, interval: float) -> tuple[bool, Json]:
    """Judge by `age`, the seconds since an interval was sealed; nothing downstream matters."""
    if age > _MOST_INTERVALS * interval + _GRACE:
        return False, _fail([f"no interval was sealed for {age:.0f} s"])
    return True, {"status": "pass"}


def ready(
    missing: Sequence[str], reports: Sequence[Report], required: Collection[str]
) -> tuple[bool, Json]:
    """Judge by what is missing and by the required checks: each must have run, none is critical."""
    reasons = list(missing)
    known = {report.name: report for report in reports}
    for name in sorted(required):
        report = known.get(name)
        if report is None or "pending" in report.flags:
            reasons.append(f"check {name} has not run yet")
        elif report.status is Status.CRITICAL:
            reasons.append(f"check {name} is {report.label}: {report.message}")
    return (False, _fail(reasons)) if reasons else (True, {"status": "pass"})


def healthy(reports: Sequence[Report], *, host: str, version: str) -> tuple[bool, Json]:
    """Return the draft's document; False when a check is critical."""
    status = worst([report.status for report in reports])
    document: Json = {
        "status": _DRAFT_WORDS[status],
        "version": "1",
        "releaseId": version,
        "description": f"vitald on {host}",
        "checks": {f"{report.name}:responseTime": [_entry(report)] for report in reports},
    }
    return status is not Status.CRITICAL, document


def _entry(report: Report) -> Json:
    entry: Json = {
        "componentType": report.type,
        "status": _DRAFT_WORDS[report.status],
        "observedValue": report.duration_seconds,
        "observedUnit": "s",
        "time": rfc3339(report.last_run),
    }
    if report.status is not Status.HEALTHY:  # the draft leaves the output out on pass
        entry["output"] = report.message
    return entry


def _fail(reasons: list[str]) -> Json:
    return {"status": "fail", "output": "; ".join(reasons), "reasons": reasons}
