"""Readings against limits, and the one line that says how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vitald.checks.base import Observation, Result
from vitald.status import SEVERITY, Status, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Finding(NamedTuple):
    """One reading, judged and worded."""

    status: Status
    text: str


def judge(
    text: str,
    value: float | None,
    warning: float | None,
    critical: float | None,
    *,
    write: Callable[[float], str],
    below: bool = False,
) -> Finding:
    """Compare a reading with its limits; reaching a limit is enough.

    `text` has a `{}` where the value goes. `below` turns the comparison around, for what must not
    run out. A limit that is None is none; a value that is None cannot be judged, and says so only
    where somebody set a limit.
    """
    if value is None:
        limited = warning is not None or critical is not None
        status = Status.UNKNOWN if limited else Status.HEALTHY
        return Finding(status, text.format("an unknown amount") if limited else "")
    words = text.format(write(value))
    for status, limit in ((Status.CRITICAL, critical), (Status.WARNING, warning)):
        if limit is not None and (value <= limit if below else value >= limit):
            return Finding(status, f"{words} ({status.word} at {write(limit)})")
    return Finding(Status.HEALTHY, words)


def fact(text: str) -> Finding:
    """Return something worth saying that nothing is judged by."""
    return Finding(Status.HEALTHY, text)


def conclude(findings: Iterable[Finding], observations: Iterable[Observation]) -> Result:
    """Return the worst of the findings, with what is wrong before what is fine."""
    said = [finding for finding in findings if finding.text]
    said.sort(key=lambda finding: SEVERITY.index(finding.status))
    status = worst([finding.status for finding in said])
    return Result(status, ", ".join(finding.text for finding in said), tuple(observations))


def check_order(warning: float | None, critical: float | None, *, below: bool = False) -> None:
    """Raise ValueError when `critical` would come before `warning`."""
    if warning is None or critical is None:
        return
    if below and critical > warning:
        raise ValueError("must not be above its warning limit")
    if not below and critical < warning:
        raise ValueError("must not be below its warning limit")


def percent(value: float) -> str:
    """Write `80 %`, `99.5 %`."""
    return f"{value:.1f}".removesuffix(".0") + " %"


def size(value: float) -> str:
    """Write bytes in the unit that leaves the fewest digits: `512 B`, `1.5 GiB`."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(value) < 1023.95:
            break
        value /= 1024
        unit = larger
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def number(value: float) -> str:
    """Write a plain number: `3`, `0.25`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
