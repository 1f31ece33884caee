"""Memory and swap, of the machine or of the container."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import check_order, conclude, fact, judge, percent, size
from vitald.checks.readings.memory import Memory, Scope, read_memory
from vitald.config.options import CheckOptions, Percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitald.checks.base import Isolation
    from vitald.checks.limits import Finding


class Options(CheckOptions):
    """Limits for memory in use, swap in use, and time spent waiting for memory."""

    scope: Scope = Field(
        "auto",
        description=(
            "Whose memory: `host`, `cgroup` (what this process is confined to), or `auto`: the "
            "cgroup where it has a limit below the machine's memory."
        ),
    )
    warning: Percent | None = Field(85.0, description="Warning from this share in use.")
    critical: Percent | None = Field(95.0, description="Critical from this share in use.")
    swap_warning: Percent | None = Field(
        None, description="Warning from this share of swap in use."
    )
    swap_critical: Percent | None = Field(
        None, description="Critical from this share of swap in use."
    )
    pressure_warning: Percent | None = Field(
        10.0,
        description="Warning when all tasks waited for memory this share of the last minute (PSI).",
    )
    pressure_critical: Percent | None = Field(
        40.0,
        description="Critical when all tasks waited for memory this share of the last minute.",
    )

    @field_validator("critical", "swap_critical", "pressure_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        check_order(info.data.get(str(info.field_name).replace("critical", "warning")), critical)
        return critical


class MemoryCheck:
    """Look at how much memory cannot be had without swapping or killing."""

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False
    machine_wide: ClassVar[bool] = True

    def __init__(
        self,
        *,
        scope: Scope = "auto",
        warning: float | None = 85.0,
        critical: float | None = 95.0,
        swap_warning: float | None = None,
        swap_critical: float | None = None,
        pressure_warning: float | None = 10.0,
        pressure_critical: float | None = 40.0,
    ) -> None:
        self._scope: Scope = scope
        self._limits = (warning, critical)
        self._swap_limits = (swap_warning, swap_critical)
        self._pressure_limits = (pressure_warning, pressure_critical)

    def run(self) -> Result:
        memory = read_memory(self._scope)
        return conclude(self._findings(memory), _observations(memory))

    def _findings(self, memory: Memory) -> Iterator[Finding]:
        whose = f" of the {memory.scope}" if memory.scope == "cgroup" else ""
        used = f"{{}} of {size(memory.total)}{whose} used"
        yield judge(used, memory.percent, *self._limits, write=percent)
        yield fact(f"{size(memory.available)} available")
        # Machines without swap, or without PSI, have nothing to judge there: limits are defaults.
        if memory.swap_total:
            yield judge("{} of swap used", memory.swap_percent, *self._swap_limits, write=percent)
        if memory.pressure is not None and memory.pressure.full is not None:
            stalled = "stalled for memory {} of the time"
            yield judge(stalled, memory.pressure.full, *self._pressure_limits, write=percent)


def _observations(memory: Memory) -> Iterator[Observation]:
    yield Observation("memory_usage_bytes", memory.used)
    yield Observation("memory_usage_percent", memory.percent)
    yield Observation("memory_available_bytes", memory.available)
    yield Observation("memory_total_bytes", memory.total)
    yield Observation("memory_oom_kills", memory.oom_kills)
    if memory.pressure is not None:
        yield Observation("memory_pressure_some_percent", memory.pressure.some)
        yield Observation("memory_pressure_full_percent", memory.pressure.full)
    yield Observation("swap_usage_bytes", memory.swap_used)
    if memory.swap_percent is not None:
        yield Observation("swap_usage_percent", memory.swap_percent)
