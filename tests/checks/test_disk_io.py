from __future__ import annotations

import pytest
from pydantic import ValidationError

from vitald.checks.disk_io import DiskIoCheck, Options
from vitald.checks.readings.disks import DiskCounters, sample_disks
from vitald.status import Status


def counters(operations=0, *, bytes_=0, spent=0.0, busy=0.0):
    return DiskCounters(operations, 0, bytes_, 0, spent, busy)


class TenSeconds:
    """Two samples that are ten seconds apart."""

    def __init__(self, before, after):
        self._samples = before, after

    def take(self):
        return *self._samples, 10.0


def check(after, before=None, **options):
    before = before or dict.fromkeys(after, counters())
    return DiskIoCheck(**options, between=TenSeconds(before, after)).run()


def values(result):
    return {item.key: item.value for item in result.observations}


def test_a_disk_that_is_always_busy_is_a_warning():
    result = check({"sda": counters(100, busy=9.6), "sdb": counters(100, busy=1.0)})
    assert result.status is Status.WARNING
    assert result.message.startswith("sda 96 % busy (warning at 95 %)")


def test_a_slow_disk_is_a_warning_and_a_very_slow_one_critical():
    assert check({"sda": counters(10, spent=1.9)}).status is Status.HEALTHY
    result = check({"sda": counters(10, spent=2.5)})
    assert result.status is Status.WARNING
    assert result.message.startswith("sda takes 250ms per operation (warning at 200ms)")
    assert check({"sda": counters(10, spent=25.0)}).status is Status.CRITICAL


def test_a_disk_that_did_nothing_has_no_latency_to_be_judged_by():
    result = check({"sda": counters()}, latency_critical=0.001)
    assert result.status is Status.HEALTHY
    assert "disk_latency_seconds{device=sda}" not in values(result)


def test_rates_are_observed_for_each_disk():
    seen = values(check({"sda": counters(50, bytes_=1_000_000, spent=1.0, busy=5.0)}))
    assert seen["disk_read_bytes_per_second{device=sda}"] == 100_000.0
    assert seen["disk_reads_per_second{device=sda}"] == 5.0
    assert seen["disk_busy_percent{device=sda}"] == 50.0
    assert seen["disk_latency_seconds{device=sda}"] == 0.02


def test_only_the_wanted_disks_are_looked_at():
    disks = {name: counters(busy=10.0) for name in ("nvme0n1", "nvme1n1", "sda")}
    result = check(disks, devices=["nvme*"])
    assert {key.split("=")[1] for key in values(result)} == {"nvme0n1}", "nvme1n1}"}


def test_a_wanted_disk_that_is_not_there_is_critical():
    result = check({"sda": counters()}, devices=["sdz", "nvme*"])
    assert result.status is Status.CRITICAL
    assert result.message == "cannot find a disk named sdz, nvme*"


def test_a_machine_that_shows_no_disks_is_healthy_and_says_so():
    result = check({})
    assert (result.status, result.message) == (Status.HEALTHY, "this machine shows no disks")


def test_a_disk_that_is_new_is_shown_as_unavailable():
    result = check({"sdb": counters(5)}, before={"sda": counters()})
    assert result.status is Status.HEALTHY
    assert values(result)["disk_read_bytes_per_second{device=sdb}"] is None


def test_the_disks_of_this_machine_are_read():
    result = DiskIoCheck().run()
    assert result.message
    devices = {tags["device"] for tags in (dict(item.tags) for item in result.observations)}
    assert devices == set(sample_disks())


@pytest.mark.parametrize(
    "options",
    [
        {"critical": "90%"},
        {"latency_warning": "3s"},
        {"latency_warning": "300ms", "latency_critical": "200ms"},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)
