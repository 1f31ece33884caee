from __future__ import annotations

import pytest
from pydantic import ValidationError

from vitald.checks import memory
from vitald.checks.memory import MemoryCheck, Options
from vitald.checks.readings.memory import Memory
from vitald.checks.readings.pressure import Pressure
from vitald.status import Status

GIB = 1 << 30


def values(result):
    return {item.name: item.value for item in result.observations}


@pytest.fixture
def machine(monkeypatch):
    """Let memory be in use as a test wants it; keeps the scope that was asked for."""
    asked = []

    def use(*, used=4, total=16, scope="host", swap=(0, 0), kills=0, pressure=None):
        reading = Memory(
            scope, total * GIB, used * GIB, (total - used) * GIB, *swap, kills, pressure
        )
        monkeypatch.setattr(memory, "read_memory", lambda scope: asked.append(scope) or reading)
        return asked

    return use


@pytest.mark.parametrize(
    ("used", "status"),
    [(84, Status.HEALTHY), (85, Status.WARNING), (94, Status.WARNING), (95, Status.CRITICAL)],
)
def test_the_used_share_decides(machine, used, status):
    machine(used=used, total=100)
    result = MemoryCheck().run()
    assert result.status is status
    assert f"{used} % of 100 GiB used" in result.message


def test_a_container_is_judged_by_its_limit_and_says_so(machine):
    asked = machine(used=2, total=2, scope="cgroup", kills=3)
    result = MemoryCheck(scope="cgroup").run()
    assert asked == ["cgroup"]
    assert result.status is Status.CRITICAL
    assert result.message.startswith("100 % of 2 GiB of the cgroup used (critical at 95 %)")
    assert values(result)["memory_oom_kills"] == 3


def test_swap_counts_only_where_it_is_limited_and_there_is_some(machine):
    machine(swap=(8 * GIB, 8 * GIB))
    assert MemoryCheck().run().status is Status.HEALTHY
    assert MemoryCheck(swap_warning=80).run().status is Status.WARNING
    machine(swap=(0, 0))
    result = MemoryCheck(swap_warning=80).run()
    assert result.status is Status.HEALTHY
    assert "swap_usage_percent" not in values(result)


def test_tasks_that_wait_for_memory_are_a_warning_before_it_is_full(machine):
    machine(pressure=Pressure(some=30.0, full=12.0))
    result = MemoryCheck().run()
    assert result.status is Status.WARNING
    assert result.message.startswith("stalled for memory 12 % of the time (warning at 10 %)")
    assert values(result)["memory_pressure_some_percent"] == 30.0


def test_a_kernel_without_pressure_is_not_judged_by_it(machine):
    machine(pressure=None)
    result = MemoryCheck().run()
    assert result.status is Status.HEALTHY
    assert "memory_pressure_full_percent" not in values(result)


def test_the_promised_gauges_are_observed_without_tags(machine):
    machine(used=4, total=16)
    result = MemoryCheck().run()
    assert values(result)["memory_usage_bytes"] == 4 * GIB
    assert values(result)["memory_available_bytes"] == 12 * GIB
    assert {item.tags for item in result.observations} == {()}


def test_this_machines_memory_is_read():
    result = MemoryCheck().run()
    seen = values(result)
    assert 0 < seen["memory_usage_bytes"] < seen["memory_total_bytes"]


@pytest.mark.parametrize(
    "options",
    [
        {"warning": "99%"},
        {"swap_warning": 80, "swap_critical": 70},
        {"pressure_critical": 5},
        {"scope": "galaxy"},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)
