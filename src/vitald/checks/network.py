"""Network interfaces: traffic, errors, lost packets, and whether they are up."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from vitald.checks.base import Observation, Result
from vitald.checks.limits import Finding, check_order, conclude, fact, judge, number, size
from vitald.checks.readings.between import Between
from vitald.checks.readings.interfaces import (
    InterfaceSample,
    Traffic,
    interfaces_between,
    sample_interfaces,
)
from vitald.config.options import CheckOptions
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vitald.checks.base import Isolation

# Each container brings interfaces of its own and takes them away again: their names would fill the
# table of series.
_IGNORED = ("lo", "veth*", "cali*", "cilium*", "lxc*", "tap*", "ifb*")


class Options(CheckOptions):
    """Which interfaces, which must be up, and limits for what they lose."""

    interfaces: tuple[str, ...] = Field(
        ("*",), description="Names of interfaces, like `eth0` or `en*`."
    )
    ignore: tuple[str, ...] = Field(_IGNORED, description="Names of interfaces to leave out.")
    up: tuple[str, ...] = Field((), description="Names of interfaces that must be up.")
    errors_warning: float | None = Field(
        1.0, gt=0, description="Warning from this many errors per second, on any interface."
    )
    errors_critical: float | None = Field(
        None, gt=0, description="Critical from this many errors per second, on any interface."
    )
    drops_warning: float | None = Field(
        100.0, gt=0, description="Warning from this many dropped packets per second."
    )
    drops_critical: float | None = Field(
        None, gt=0, description="Critical from this many dropped packets per second."
    )

    @field_validator("errors_critical", "drops_critical")
    @classmethod
    def _in_order(cls, critical: float | None, info: ValidationInfo) -> float | None:
        check_order(info.data.get(str(info.field_name).replace("critical", "warning")), critical)
        return critical


class NetworkCheck:
    """Compare the interfaces' counters with those of the run before."""

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "thread"
    connectivity: ClassVar[bool] = False
    machine_wide: ClassVar[bool] = True

    def __init__(
        self,
        *,
        interfaces: Sequence[str] = ("*",),
        ignore: Sequence[str] = _IGNORED,
        up: Sequence[str] = (),
        errors_warning: float | None = 1.0,
        errors_critical: float | None = None,
        drops_warning: float | None = 100.0,
        drops_critical: float | None = None,
        between: Between[dict[str, InterfaceSample]] | None = None,
    ) -> None:
        self._interfaces = tuple(interfaces)
        self._ignored = tuple(ignore)
        self._must_be_up = tuple(up)
        self._errors_limits = (errors_warning, errors_critical)
        self._drops_limits = (drops_warning, drops_critical)
        self._between = between or Between(sample_interfaces)

    def run(self) -> Result:
        before, after, seconds = self._between.take()
        every = interfaces_between(before, after, seconds)
        chosen = {name: traffic for name, traffic in every.items() if self._chooses(name)}
        findings = [*self._links(every), *self._losses(chosen)]
        return conclude(findings, _observations(chosen))

    def _chooses(self, name: str) -> bool:
        if name in self._must_be_up:
            return True
        wanted = any(fnmatchcase(name, pattern) for pattern in self._interfaces)
        return wanted and not any(fnmatchcase(name, pattern) for pattern in self._ignored)

    def _links(self, every: Mapping[str, Traffic]) -> Iterator[Finding]:
        for name in self._must_be_up:
            if name not in every:
                yield Finding(Status.CRITICAL, f"there is no interface {name}")
            elif not every[name].up:
                yield Finding(Status.CRITICAL, f"{name} is down")

    def _losses(self, chosen: Mapping[str, Traffic]) -> Iterator[Finding]:
        if not chosen:
            yield fact("no interface to look at")
        for name, traffic in chosen.items():
            if traffic.receive_bytes is not None and traffic.transmit_bytes is not None:
                received, sent = size(traffic.receive_bytes), size(traffic.transmit_bytes)
                yield fact(f"{name} receives {received}/s and sends {sent}/s")
            for word, rate, limits in (
                ("errors", traffic.errors, self._errors_limits),
                ("drops", traffic.drops, self._drops_limits),
            ):
                if rate:
                    yield judge(f"{name} {{}} {word}/s", rate, *limits, write=number)


def _observations(chosen: Mapping[str, Traffic]) -> Iterator[Observation]:
    for name, traffic in chosen.items():
        tags = (("interface", name),)
        yield Observation("network_up", float(traffic.up), tags)
        yield Observation("network_receive_bytes_per_second", traffic.receive_bytes, tags)
        yield Observation("network_transmit_bytes_per_second", traffic.transmit_bytes, tags)
        yield Observation("network_receive_packets_per_second", traffic.receive_packets, tags)
        yield Observation("network_transmit_packets_per_second", traffic.transmit_packets, tags)
        yield Observation("network_errors_per_second", traffic.errors, tags)
        yield Observation("network_drops_per_second", traffic.drops, tags)
