from __future__ import annotations

import pytest
from pydantic import ValidationError

from vitald.checks import cpu
from vitald.checks.cpu import CpuCheck, Options
from vitald.checks.readings.cpu import CpuUsage
from vitald.status import Status


def values(result):
    return {item.name: item.value for item in result.observations}


@pytest.fixture
def machine(monkeypatch):
    """Let the processor be used as a test wants it."""

    def use(*, usage=10.0, iowait=0.0, load=0.0, cores=4, quota=None, throttled=None):
        found = CpuUsage(
            usage, usage, 0.0, iowait, 0.0, (0.0, load, 0.0), cores, quota, throttled, None
        )
        monkeypatch.setattr(cpu, "cpu_between", lambda *_: found)

    return use


class Nothing:
    def take(self):
        return None, None, 1.0


def check(**options):
    return CpuCheck(**options, between=Nothing()).run()


def test_a_busy_processor_is_a_warning_and_critical_only_where_somebody_says_so(machine):
    machine(usage=100.0)
    result = check()
    assert result.status is Status.WARNING
    assert result.message.startswith("100 % used (warning at 90 %)")
    assert check(critical=98.0).status is Status.CRITICAL


def test_load_is_judged_per_core(machine):
    machine(load=15.9, cores=4)
    assert check().status is Status.HEALTHY
    machine(load=16.0, cores=4)
    result = check()
    assert result.status is Status.WARNING
    assert result.message.startswith("load 4 per core (warning at 4)")


def test_waiting_for_disks_is_judged(machine):
    machine(iowait=45.0)
    result = check(iowait_critical=45.0)
    assert result.status is Status.CRITICAL
    assert result.message.startswith("45 % waiting for disks (critical at 45 %)")


def test_a_quota_that_runs_out_is_a_warning_even_on_an_idle_machine(machine):
    machine(usage=3.0, quota=0.5, throttled=60.0)
    result = check()
    assert result.status is Status.WARNING
    assert result.message.startswith("throttled in 60 % of periods (0.5 cores) (warning at 25 %)")
    assert values(result)["cpu_quota_cores"] == 0.5


def test_without_a_quota_nothing_is_said_of_it(machine):
    machine()
    result = check()
    assert "throttled" not in result.message
    assert "cpu_throttled_percent" not in values(result)


def test_a_system_that_does_not_count_waiting_is_not_judged_by_it(machine):
    machine(iowait=None)
    assert check().status is Status.HEALTHY


def test_the_promised_gauge_and_the_load_are_observed(machine):
    machine(usage=12.5, load=2.0)
    seen = values(check())
    assert seen["cpu_usage_percent"] == 12.5
    assert (seen["load_average_1m"], seen["load_average_5m"]) == (0.0, 2.0)


def test_the_first_run_on_this_machine_already_has_a_true_number():
    seen = values(CpuCheck().run())
    assert 0 <= seen["cpu_usage_percent"] <= 100


@pytest.mark.parametrize(
    "options",
    [
        {"critical": "80%"},
        {"load_warning": 0},
        {"load_warning": 4, "load_critical": 2},
        {"iowait_warning": 50, "iowait_critical": 20},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)
