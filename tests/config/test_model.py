from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitald.aggregator.windows import Windows
from vitald.config import paths
from vitald.config.listen import Listener
from vitald.config.model import (
    WINDOWS,
    CheckEntry,
    Config,
    Limits,
    changes,
    default_windows,
)
from vitald.config.options import CheckOptions, Section
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect


def messages(**values) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Config(**values)
    return [error["msg"].removeprefix("Value error, ") for error in caught.value.errors()]


def test_the_defaults_are_those_that_are_promised():
    config = Config()
    assert [each.url for each in config.listen] == ["udp://127.0.0.1:8125"]
    assert [each.readers for each in config.listen] == [1]
    assert config.interval == 10.0
    assert config.windows == WINDOWS == (10.0, 60.0, 300.0, 900.0, 3600.0)
    assert config.http is None
    assert config.limits == Limits(series=100_000, tags=32, name_length=255)
    assert (config.gauge_sign, config.tag_formats) == ("delta", ("graphite",))
    assert config.host == socket.gethostname()
    assert config.state_dir == paths.state_dir()
    assert (config.checks, config.forward) == ((), ())
    assert config.dialect(config.listen[0]) == DEFAULT_DIALECT


def test_every_key_is_described_and_says_whether_a_reload_applies_it():
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra["reload"], bool), name
    for model in (Listener, Limits):
        assert all(field.description for field in model.model_fields.values())


def test_a_listener_makes_its_own_choices_or_has_the_global_ones():
    config = Config(
        gauge_sign="absolute",
        tag_formats=["influx"],
        limits={"tags": 5, "name_length": 99},
        listen=["udp://h:1", {"url": "udp://h:2", "gauge_sign": "delta", "tag_formats": []}],
    )
    first, second = map(config.dialect, config.listen)
    assert first == Dialect("absolute", frozenset({"influx"}), 99, 5)
    assert second == Dialect("delta", frozenset(), 99, 5)


def test_windows_are_multiples_of_the_interval():
    assert messages(interval="7s", windows=["7s", "10s", "1m"]) == [
        "10s, 1m are no multiples of the interval, 7s"
    ]
    assert messages(interval="10s", windows=["5s"]) == ["5s is no multiple of the interval, 10s"]
    assert messages(windows=["8d"]) == ["must not be longer than 7d"]
    assert Config(windows=["1m", "10s", "60s"]).windows == (10.0, 60.0)


def test_default_windows_follow_the_interval():
    assert Config(interval="20s").windows == (20.0, 60.0, 300.0, 900.0, 3600.0)
    assert Config(interval="7s").windows == (14.0, 63.0, 301.0, 903.0, 3605.0)


@given(st.floats(0.1, 3600.0))
def test_default_windows_are_good_for_every_interval(interval):
    windows = default_windows(interval)
    assert Config(interval=interval).windows == windows
    assert Config(interval=interval, windows=windows).windows == windows
    assert windows[-1] >= WINDOWS[-1]
    assert Windows(interval, windows).longest == windows[-1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interval": "50ms"}, "must be from 100ms to 1h"),
        ({"interval": "2h"}, "must be from 100ms to 1h"),
        ({"series_expiry": "0s"}, "must be from 1s to 366d"),
        ({"shutdown_timeout": "1h"}, "must be from 0s to 10m"),
        ({"host": "a b"}, "a host name has no blanks and no control characters"),
        ({"http_hosts": ["a\x1b"]}, "a host name has no blanks and no control characters"),
        ({"control_socket": "/" + "x" * 120}, "the path of a socket has at most 107 bytes"),
    ],
)
def test_what_is_out_of_bounds_is_refused(values, message):
    assert message in messages(**values)


def test_relative_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    values = {"state_dir": "state", "control_socket": "control.sock"}
    config = Config.model_validate(values, context={"directory": Path("/etc/vitald")})
    assert config.state_dir == Path("/etc/vitald/state")
    assert config.control_socket == Path("/etc/vitald/control.sock")
    monkeypatch.chdir(tmp_path)
    assert Config(state_dir="state").state_dir == tmp_path / "state"


def test_a_config_is_frozen():
    with pytest.raises(ValidationError):
        Config().interval = 5.0
    with pytest.raises(ValidationError):
        Config().limits.series = 5


def test_only_the_loader_makes_entries():
    assert messages(checks=[{"type": "disk"}]) == ["Input should be an instance of CheckEntry"]


def entry(name: str, **options) -> CheckEntry:
    return CheckEntry(name, "disk", object, CheckOptions(**options))


def test_nothing_changes_between_equal_configurations():
    assert changes(Config(), Config()) == ((), ())


def test_changes_name_entries_and_the_keys_that_need_a_restart():
    old = Config(checks=[entry("same"), entry("gone"), entry("slower")])
    new = Config(
        checks=[entry("same"), entry("slower", interval="1h"), entry("new")],
        log_level="debug",
        interval="20s",
        limits={"series": 5},
    )
    found = changes(old, new)
    assert found.applied == ("log_level", "checks.gone", "checks.slower", "checks.new")
    assert found.need_restart == ("interval", "windows", "limits")


def test_every_section_refuses_unknown_keys():
    for model in (Config, Listener, Limits):
        assert issubclass(model, Section)
        assert model.model_config["extra"] == "forbid"
