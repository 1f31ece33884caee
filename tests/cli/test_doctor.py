"""`vitald doctor` as a whole: findings, cures, exit codes."""

from __future__ import annotations

import json
import socket

import pytest


@pytest.fixture
def config(tmp_path):
    """Write a configuration that listens on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "vitald.yaml"
    path.write_text(
        f"listen: [{{url: 'udp://127.0.0.1:{port}', receive_buffer: 4KiB}}]\nchecks: {{}}\n"
    )
    path.chmod(0o600)
    return path


def _subjects(run):
    return {finding["subject"]: finding for finding in json.loads(run.out)["findings"]}


def test_a_running_sidecar_with_a_valid_file(vitald, sidecar, documents, config):
    sidecar.path.chmod(0o600)
    run = vitald("doctor", "-c", str(config), "-o", "json")
    found = _subjects(run)
    assert found["configuration"]["status"] == "healthy"
    assert found["control socket"]["status"] == "healthy"
    assert found["sidecar"]["message"] == "answers, up 1h02m"
    assert found["engine"]["message"] == "python"
    assert found["drivers"]["status"] == "healthy"
    assert found["receive buffer"]["status"] == "healthy"


def test_the_exit_code_is_the_worst_finding(vitald, tmp_path, config):
    run = vitald("doctor", "-c", str(config), "--socket", str(tmp_path / "none"))
    assert (run.code, run.err) == (1, "")
    config.write_text("bogus: 1\n")
    run = vitald("doctor", "-c", str(config), "--socket", str(tmp_path / "none"))
    assert (run.code, run.err) == (2, "")


def test_the_cure_stands_below_the_trouble(vitald, tmp_path, config):
    lines = vitald("doctor", "-c", str(config), "--socket", f"{tmp_path}/none").out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("sidecar"))
    assert lines[at].startswith("sidecar         ▲ warning  none at ")
    assert lines[at].endswith(f"{tmp_path}/none: there is no such socket")
    assert lines[at + 1].strip().startswith("→ start it with: vitald run")


def test_every_fault_of_the_file_is_a_finding(vitald, tmp_path, config):
    config.write_text("bogus: 1\nchecks: {}\nother: \x1b[2J\n")
    run = vitald("doctor", "-c", str(config), "--socket", str(tmp_path / "none"))
    assert run.code == 2
    assert "\x1b" not in run.out


def test_a_terminal_gets_a_table(terminal, documents, config):
    session = terminal("doctor", "-c", str(config))
    assert session.wait() in {0, 1}
    assert "✔ fine" in session.output.decode()
