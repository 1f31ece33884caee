"""Pressure stall information: for how much of the time work waited for a resource.

`some`: at least one task waited; `full`: no task could go on.

    some avg10=0.00 avg60=0.12 avg300=0.02 total=3484615
    full avg10=0.00 avg60=0.00 avg300=0.00 total=0

https://docs.kernel.org/accounting/psi.html
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Pressure(NamedTuple):
    """Averages over the last minute, in percent; None where the kernel does not give them."""

    some: float | None
    full: float | None


def read_pressure(resource: str, root: Path = Path("/")) -> Pressure | None:
    """Return the machine's pressure on `cpu`, `memory` or `io`.

    None where the kernel does not measure it: old, built without it, or switched off.
    """
    try:
        text = (root / "proc/pressure" / resource).read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    averages = dict(map(_average, text.splitlines()))
    if averages.keys().isdisjoint({"some", "full"}):
        return None
    return Pressure(averages.get("some"), averages.get("full"))


def _average(line: str) -> tuple[str, float | None]:
    kind, *fields = line.split() or [""]
    for field in fields:
        name, _, value = field.partition("=")
        if name == "avg60":
            try:
                return kind, float(value)
            except ValueError:
                break
    return kind, None
