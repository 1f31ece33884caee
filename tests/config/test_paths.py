from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitald.config import paths


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in ("VITALD_SOCKET", "VITALD_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
                 "XDG_STATE_HOME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _as_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)


@pytest.fixture
def _as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("_as_user")
def test_the_control_socket_is_the_option_then_the_variable_then_the_file_then_the_rule(
    monkeypatch,
):
    configured = Path("/c/configured.sock")
    assert paths.control_socket() == Path("/tmp/vitald-1234/control.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1234")
    assert paths.control_socket() == Path("/run/user/1234/vitald/control.sock")
    assert paths.control_socket(None, configured) == configured
    monkeypatch.setenv("VITALD_SOCKET", "/v/variable.sock")
    assert paths.control_socket(None, configured) == Path("/v/variable.sock")
    assert paths.control_socket("/o/option.sock", configured) == Path("/o/option.sock")


@pytest.mark.usefixtures("_as_root")
def test_the_control_socket_of_root_is_in_run(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    assert paths.control_socket() == Path("/run/vitald/control.sock")


@pytest.mark.usefixtures("_as_user")
def test_a_relative_xdg_directory_is_ignored_as_its_specification_asks(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert paths.control_socket() == Path("/tmp/vitald-1234/control.sock")


def test_an_empty_variable_is_no_variable(monkeypatch):
    monkeypatch.setenv("VITALD_SOCKET", "")
    monkeypatch.setenv("VITALD_CONFIG", "")
    assert paths.control_socket("/o") == Path("/o")
    assert paths.config_file() in {None, Path("/etc/vitald/config.yaml")}


def test_a_named_configuration_is_taken_whether_or_not_it_exists(monkeypatch):
    monkeypatch.setenv("VITALD_CONFIG", "/v.yaml")
    assert paths.config_file("/o.yaml") == Path("/o.yaml")
    assert paths.config_file() == Path("/v.yaml")


def test_the_first_usual_place_that_exists_is_taken(monkeypatch, tmp_path):
    at_home = tmp_path / "home/.config/vitald/config.yaml"
    in_xdg = tmp_path / "xdg/vitald/config.yaml"
    here = Path("vitald.yaml")
    for path in (at_home, in_xdg):
        path.parent.mkdir(parents=True)
        path.touch()
    assert paths.config_file() == at_home
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert paths.config_file() == in_xdg
    here.touch()
    assert paths.config_file() == here
    assert paths.usual_config_files()[2] == Path("/etc/vitald/config.yaml")


def test_a_dangling_link_is_found_so_that_reading_it_says_what_is_wrong(tmp_path):
    Path("vitald.yaml").symlink_to(tmp_path / "nowhere")
    assert paths.config_file() == Path("vitald.yaml")


@pytest.mark.usefixtures("_as_user")
def test_state_is_kept_at_home_for_a_user(monkeypatch, tmp_path):
    assert paths.state_dir() == tmp_path / "home/.local/state/vitald"
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert paths.state_dir() == Path("/s/vitald")


@pytest.mark.usefixtures("_as_root")
def test_state_is_kept_in_var_lib_for_root():
    assert paths.state_dir() == Path("/var/lib/vitald")


def test_importing_paths_imports_neither_pydantic_nor_yaml():
    code = "import sys, vitald.config.paths; print({'pydantic', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
