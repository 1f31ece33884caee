from __future__ import annotations

import psutil
import pytest
from pydantic import ValidationError

from vitald.checks.network import NetworkCheck, Options
from vitald.checks.readings.interfaces import InterfaceSample
from vitald.status import Status

LOOPBACK = next(iter({"lo", "lo0"} & set(psutil.net_if_stats())), None)


def interface(*, up=True, received=0, sent=0, errors=0, drops=0):
    return InterfaceSample(up, None, received, sent, 0, 0, errors, drops)


class TenSeconds:
    def __init__(self, before, after):
        self._samples = before, after

    def take(self):
        return *self._samples, 10.0


def check(after, before=None, **options):
    before = before or dict.fromkeys(after, interface())
    return NetworkCheck(**options, between=TenSeconds(before, after)).run()


def values(result):
    return {item.key: item.value for item in result.observations}


def test_traffic_is_observed_and_said():
    result = check({"eth0": interface(received=20480, sent=10240)})
    assert result.status is Status.HEALTHY
    assert result.message == "eth0 receives 2 KiB/s and sends 1 KiB/s"
    seen = values(result)
    assert seen["network_receive_bytes_per_second{interface=eth0}"] == 2048.0
    assert seen["network_transmit_bytes_per_second{interface=eth0}"] == 1024.0
    assert seen["network_up{interface=eth0}"] == 1.0


def test_errors_are_a_warning_from_one_per_second():
    assert check({"eth0": interface(errors=9)}).status is Status.HEALTHY
    result = check({"eth0": interface(errors=10)})
    assert result.status is Status.WARNING
    assert result.message.startswith("eth0 1 errors/s (warning at 1)")


def test_drops_have_limits_of_their_own():
    assert check({"eth0": interface(drops=999)}).status is Status.HEALTHY
    assert check({"eth0": interface(drops=1000)}).status is Status.WARNING
    assert check({"eth0": interface(drops=1000)}, drops_critical=50.0).status is Status.CRITICAL


def test_interfaces_of_containers_and_loopback_are_left_out():
    found = {name: interface(errors=10**6) for name in ("lo", "veth12ab", "cali9", "eth0")}
    seen = values(check(found))
    assert {key.split("=")[1] for key in seen} == {"eth0}"}


def test_only_the_wanted_interfaces_are_looked_at():
    found = {name: interface() for name in ("eth0", "eth1", "wlan0")}
    assert {key.split("=")[1] for key in values(check(found, interfaces=["eth*"]))} == {
        "eth0}",
        "eth1}",
    }


def test_an_interface_that_must_be_up_is_critical_when_it_is_down_or_gone():
    result = check({"eth0": interface(), "bond0": interface(up=False)}, up=["bond0", "tun7"])
    assert result.status is Status.CRITICAL
    assert result.message.startswith("bond0 is down, there is no interface tun7")


def test_an_interface_that_must_be_up_is_watched_even_when_it_would_be_left_out():
    seen = values(check({"tap0": interface()}, up=["tap0"]))
    assert seen["network_up{interface=tap0}"] == 1.0


def test_an_interface_that_is_new_is_shown_as_unavailable():
    result = check({"eth1": interface(errors=10**6)}, before={"eth0": interface()})
    assert result.status is Status.HEALTHY
    assert values(result)["network_errors_per_second{interface=eth1}"] is None


def test_a_machine_without_interfaces_says_so():
    assert check({}).message == "no interface to look at"


@pytest.mark.skipif(LOOPBACK is None, reason="no loopback interface")
def test_the_interfaces_of_this_machine_are_read():
    result = NetworkCheck(ignore=(), up=[LOOPBACK]).run()
    assert values(result)[f"network_up{{interface={LOOPBACK}}}"] == 1.0
    assert result.status is not Status.CRITICAL


@pytest.mark.parametrize(
    "options",
    [{"errors_critical": 0.5}, {"drops_warning": 0}, {"drops_warning": 9, "drops_critical": 3}],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)
