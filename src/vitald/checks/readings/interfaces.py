"""What the network interfaces carry, and what they lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import psutil

from vitald.checks.readings.between import per_second

if TYPE_CHECKING:
    from collections.abc import Mapping


class InterfaceSample(NamedTuple):
    """Counters of one interface since it was made; `speed` in bits per second, None if unknown."""

    up: bool
    speed: int | None
    receive_bytes: int
    transmit_bytes: int
    receive_packets: int
    transmit_packets: int
    errors: int
    drops: int


class Traffic(NamedTuple):
    """Rates per second of one interface between two samples; None for one that is new.

    `errors` and `drops` count both directions.
    """

    up: bool
    speed: int | None
    receive_bytes: float | None
    transmit_bytes: float | None
    receive_packets: float | None
    transmit_packets: float | None
    errors: float | None
    drops: float | None


def sample_interfaces() -> dict[str, InterfaceSample]:
    """Return the counters of every interface, by name."""
    states = psutil.net_if_stats()
    samples = {}
    for name, found in psutil.net_io_counters(pernic=True, nowrap=False).items():
        state = states.get(name)
        samples[name] = InterfaceSample(
            up=state.isup if state else False,
            speed=state.speed * 1_000_000 if state and state.speed else None,
            receive_bytes=found.bytes_recv,
            transmit_bytes=found.bytes_sent,
            receive_packets=found.packets_recv,
            transmit_packets=found.packets_sent,
            errors=found.errin + found.errout,
            drops=found.dropin + found.dropout,
        )
    return samples


def interfaces_between(
    before: Mapping[str, InterfaceSample], after: Mapping[str, InterfaceSample], seconds: float
) -> dict[str, Traffic]:
    """Return the rates of every interface of the later sample."""
    return {name: _rates(before.get(name), now, seconds) for name, now in sorted(after.items())}


def _rates(was: InterfaceSample | None, now: InterfaceSample, seconds: float) -> Traffic:
    rates = [
        None if was is None else per_second(was[field], now[field], seconds)
        for field in range(2, len(now))
    ]
    return Traffic(now.up, now.speed, *rates)
