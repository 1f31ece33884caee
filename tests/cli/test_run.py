"""`vitald run` and `vitald demo` hand over to their packages, and only then import them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from vitald.cli.app import run as vitald_run


@pytest.fixture
def daemon(monkeypatch):
    """Put a daemon in place that notes how it is run."""
    module = ModuleType("vitald.daemon")
    module.calls = []

    def run(config_path, socket):
        module.calls.append((config_path, socket))
        return 69

    module.run = run
    monkeypatch.setitem(sys.modules, "vitald.daemon", module)
    return module


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ([], (None, None)),
        (["-c", "a.yaml"], (Path("a.yaml"), None)),
        (["--socket", "/x/y"], (None, Path("/x/y"))),
    ],
)
def test_the_daemon_gets_the_paths_and_its_code_is_ours(daemon, arguments, call):
    assert vitald_run(["run", *arguments]) == 69
    assert daemon.calls == [call]


def test_the_socket_before_the_command_counts_too(daemon):
    vitald_run(["--socket", "/x/y", "run"])
    assert daemon.calls == [(None, Path("/x/y"))]


def test_the_demo_is_run(monkeypatch):
    module = ModuleType("vitald.demo")
    module.run = lambda: 7
    monkeypatch.setitem(sys.modules, "vitald.demo", module)
    assert vitald_run(["demo"]) == 7


def test_a_directory_is_no_configuration(vitald, tmp_path):
    run = vitald("run", "-c", str(tmp_path))
    assert run.code == 64
    assert "is a directory" in run.err
