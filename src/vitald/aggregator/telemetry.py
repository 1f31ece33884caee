"""The sidecar's own families in a Prometheus scrape; all of them start with `vitald_`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vitald.aggregator.prometheus import header, label_pairs, sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vitald.aggregator.claims import Totals
    from vitald.aggregator.documents import Report
    from vitald.aggregator.exposition import Exposition
    from vitald.aggregator.interval import Ledger

_FAMILIES = {
    "vitald_build_info": ("gauge", "Version and engine of the running sidecar"),
    "vitald_uptime_seconds": ("gauge", "Seconds since the sidecar started"),
    "vitald_datagrams_received_total": ("counter", "Datagrams received by all listeners"),
    "vitald_bytes_received_total": ("counter", "Bytes received by all listeners"),
    "vitald_kernel_dropped_total": ("counter", "Datagrams that the kernel dropped"),
    "vitald_lines_total": ("counter", "Lines taken: aggregated, rejected and shed"),
    "vitald_lines_aggregated_total": ("counter", "Lines that entered a series"),
    "vitald_lines_rejected_total": ("counter", "Lines that were wrong, by reason"),
    "vitald_lines_shed_total": ("counter", "Good lines that a limit refused, by reason"),
    "vitald_lines_late_total": ("counter", "Timestamped lines that no slot held any more"),
    "vitald_series_active": ("gauge", "Series that the engine holds"),
    "vitald_series_limit": ("gauge", "Most series that the engine holds"),
    "vitald_series_overflowed_total": ("counter", "Samples that went to an overflow series"),
    "vitald_clients_received_samples_total": ("counter", "Samples from clients that account"),
    "vitald_clients_lost_samples_total": (
        "counter",
        "Samples that clients sent and that never arrived",
    ),
    "vitald_exposed_series": ("gauge", "Series that this page holds totals for"),
    "vitald_exposition_shed_rows_total": ("counter", "Rows that found no room on this page"),
    "vitald_exposition_negative_rows_total": (
        "counter",
        "Counter rows left out because they would have lowered a total",
    ),
    "vitald_check_status": ("gauge", "0 healthy, 1 warning, 2 critical, 3 unknown"),
    "vitald_forwarder_submitted_total": ("counter", "Intervals given to the forwarder"),
    "vitald_forwarder_sent_total": ("counter", "Intervals that the target took"),
    "vitald_forwarder_retried_total": ("counter", "Attempts after the first"),
    "vitald_forwarder_dropped_total": ("counter", "Intervals given up, by reason"),
    "vitald_forwarder_queued": ("gauge", "Intervals that wait"),
    "vitald_forwarder_consecutive_failures": ("gauge", "Failed attempts since the last success"),
}
NAMES = frozenset(_FAMILIES)

_FORWARDER_NUMBERS = {
    "vitald_forwarder_submitted_total": "submitted",
    "vitald_forwarder_sent_total": "sent",
    "vitald_forwarder_retried_total": "retried",
    "vitald_forwarder_queued": "queued",
    "vitald_forwarder_consecutive_failures": "consecutive_failures",
}

_Sample = tuple[tuple[tuple[str, str], ...], float]


class Snapshot(NamedTuple):
    """What the sidecar knows of itself at one moment."""

    version: str
    engine: str
    uptime: float
    ledger: Ledger
    reports: Sequence[Report]
    forwarders: Sequence[Mapping[str, object]]
    exposition: Exposition
    clients: Totals


def telemetry(snapshot: Snapshot) -> str:
    """Return the sidecar's own families; those without a sample are absent."""
    return "".join(
        header(name, *_FAMILIES[name])
        + "".join(sample(name, label_pairs(labels), value) for labels, value in samples)
        for name, samples in _samples(snapshot).items()
        if samples
    )


def _samples(snapshot: Snapshot) -> dict[str, list[_Sample]]:
    ledger, exposition, clients = snapshot.ledger, snapshot.exposition, snapshot.clients
    build = (("version", snapshot.version), ("engine", snapshot.engine))
    single: dict[str, float] = {
        "vitald_uptime_seconds": snapshot.uptime,
        "vitald_datagrams_received_total": ledger.datagrams_received,
        "vitald_bytes_received_total": ledger.bytes_received,
        "vitald_kernel_dropped_total": ledger.kernel_dropped,
        "vitald_lines_total": ledger.lines,
        "vitald_lines_aggregated_total": ledger.aggregated,
        "vitald_lines_late_total": ledger.late,
        "vitald_series_active": ledger.series_active,
        "vitald_series_limit": ledger.series_limit,
        "vitald_series_overflowed_total": ledger.series_overflowed,
        "vitald_clients_received_samples_total": clients.received,
        "vitald_clients_lost_samples_total": clients.lost,
        "vitald_exposed_series": exposition.active,
        "vitald_exposition_shed_rows_total": exposition.shed_rows,
        "vitald_exposition_negative_rows_total": exposition.negative_rows,
    }
    return {
        "vitald_build_info": [(build, 1)],
        **{name: [((), value)] for name, value in single.items()},
        "vitald_lines_rejected_total": _by_reason((), ledger.rejected),
        "vitald_lines_shed_total": _by_reason((), ledger.shed),
        "vitald_check_status": [
            ((("check", report.name), ("type", report.type)), int(report.status))
            for report in snapshot.reports
        ],
        **_forwarders(snapshot.forwarders),
    }


def _forwarders(statistics: Sequence[Mapping[str, object]]) -> dict[str, list[_Sample]]:
    found: dict[str, list[_Sample]] = {name: [] for name in _FORWARDER_NUMBERS}
    dropped: list[_Sample] = []
    for entry in statistics:
        named = (("forwarder", entry.get("name")), ("type", entry.get("type")))
        who = tuple((label, str(value)) for label, value in named if value)
        for name, key in _FORWARDER_NUMBERS.items():
            value = entry.get(key)
            if isinstance(value, (int, float)):
                found[name].append((who, value))
        reasons = entry.get("dropped")
        if isinstance(reasons, dict):
            dropped += _by_reason(who, reasons)
    return {**found, "vitald_forwarder_dropped_total": dropped}


def _by_reason(labels: tuple[tuple[str, str], ...], counts: Mapping[str, float]) -> list[_Sample]:
    items: Iterable[tuple[str, float]] = sorted(counts.items())
    return [((*labels, ("reason", reason)), value) for reason, value in items]
