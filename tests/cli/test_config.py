"""`vitald config`: what the configuration's own parts say, with the right exit code."""

from __future__ import annotations

import json

import pytest
import yaml


@pytest.fixture
def write(tmp_path):
    """Write a configuration and return its path."""

    def written(text):
        path = tmp_path / "vitald.yaml"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    return written


def test_a_valid_file_is_said_to_be_so(vitald, write):
    path = write("checks: {}\n")
    assert vitald("config", "check", "-c", path) == (
        0,
        f"{path}: valid, 0 checks, 0 forwarders\n",
        "",
    )


def test_the_environment_names_the_file(vitald, write):
    path = write("checks: {}\n")
    assert vitald("config", "check", VITALD_CONFIG=path).out.startswith(path)


def test_every_fault_has_its_place_and_the_code_is_65(vitald, write):
    path = write("interval: 10x\nchecks: {}\nbogus: 1\n")
    run = vitald("config", "check", "-c", path)
    assert (run.code, run.out) == (65, "")
    first, *faults = run.err.splitlines()
    assert first == "vitald: cannot use the configuration: 2 faults"
    assert faults[0].startswith(f"  {path}:1:")
    assert faults[1].startswith(f"  {path}:3:")


def test_a_fault_cannot_write_to_the_terminal(vitald, write):
    path = write('checks: {}\n"\\e[2J\\u202e": 1\n')
    run = vitald("config", "check", "-c", path)
    assert run.code == 65
    assert run.err.replace("\n", "").isprintable()


def test_a_file_that_is_not_there_is_65(vitald, tmp_path):
    run = vitald("config", "check", "-c", str(tmp_path / "none.yaml"))
    assert run.code == 65
    assert "no such file" in run.err


def test_warnings_go_to_stderr(vitald, write, tmp_path):
    path = write("checks: {}\n")
    (tmp_path / "vitald.yaml").chmod(0o666)
    run = vitald("config", "check", "-c", path)
    assert run.code == 0
    assert run.err.startswith(f"warning: {path}:1:1: everyone may change this file")


def test_show_fills_the_defaults_in(vitald, write):
    run = vitald("config", "show", "-c", write("interval: 5s\nchecks: {}\n"))
    assert run.code == 0
    shown = yaml.safe_load(run.out)
    assert (shown["interval"], shown["checks"]) == ("5s", {})
    assert "limits" in shown


def test_schema_is_json(vitald):
    run = vitald("config", "schema")
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["title"] == "vitald configuration"


def test_init_prints_a_configuration(vitald):
    run = vitald("config", "init")
    assert (run.code, run.err) == (0, "")
    assert "udp://127.0.0.1:8125" in yaml.safe_load(run.out)["listen"]


def test_without_a_command_the_commands_are_listed(vitald):
    run = vitald("config", "-h")
    assert run.code == 0
    for name in ("check", "show", "schema", "init"):
        assert f"  {name} " in run.out


def test_an_unknown_command_is_wrong_usage(vitald):
    assert vitald("config", "bogus").code == 64
