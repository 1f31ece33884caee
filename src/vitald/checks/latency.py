"""Thresholds on how long an answer took, for the checks that wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from vitald.checks.wording import duration
from vitald.config.options import CheckOptions, Duration
from vitald.status import Status

if TYPE_CHECKING:
    from typing_extensions import Self


class LatencyOptions(CheckOptions):
    """Settings of the checks that time an answer."""

    warning: Duration | None = Field(
        default=None, description="Warn when the answer took longer than this."
    )
    critical: Duration | None = Field(
        default=None, description="Unhealthy when the answer took longer than this."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning is not None and self.critical is not None and self.warning > self.critical:
            raise ValueError("warning must not be longer than critical")
        for name, limit in (("warning", self.warning), ("critical", self.critical)):
            if limit is not None and limit >= self.timeout:
                raise ValueError(
                    f"{name} must be shorter than timeout: a run is given up after "
                    f"{duration(self.timeout)}"
                )
        return self


def judge_latency(
    seconds: float, warning: float | None, critical: float | None
) -> tuple[Status, str]:
    """Return what an answer after `seconds` means, and the words for it when it was slow."""
    for limit, status in ((critical, Status.CRITICAL), (warning, Status.WARNING)):
        if limit is not None and seconds > limit:
            return status, f"slower than {duration(limit)}"
    return Status.HEALTHY, ""
