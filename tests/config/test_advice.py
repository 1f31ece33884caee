from __future__ import annotations

import pytest

from vitald.config.load import load

ADVICE = (
    "a secret stands in a file that others may read: chmod 600 it, or write {env: NAME} or "
    "{file: PATH}"
)
SECRETS = """\
checks:
  p:
    type: probe
    token: hunter2
    url: postgresql://u:hunter2@h/db
    headers: {A: hunter2, B: {env: HEADER}}
  q: {type: probe, token: {env: HEADER}, url: "http://h/"}
forward:
  out: {type: probe, api_key: hunter2}
"""


@pytest.fixture(autouse=True)
def _header(monkeypatch):
    monkeypatch.setenv("HEADER", "x")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_every_literal_secret_in_a_readable_file_is_warned_about_and_not_repeated(
    tmp_path, probe, mode
):
    path = tmp_path / "vitald.yaml"
    path.write_text(SECRETS)
    path.chmod(mode)
    loaded = load(path)
    assert loaded.warnings == (
        f"{path}:4:12: checks.p.token: {ADVICE}",
        f"{path}:5:10: checks.p.url: {ADVICE}",
        f"{path}:6:18: checks.p.headers.A: {ADVICE}",
        f"{path}:9:31: forward.out.api_key: {ADVICE}",
    )


def test_a_literal_secret_in_a_private_file_is_nobodys_business(tmp_path, probe):
    path = tmp_path / "vitald.yaml"
    path.write_text(SECRETS)
    path.chmod(0o600)
    assert load(path).warnings == ()


def test_a_file_that_everyone_may_change_is_warned_about(tmp_path):
    path = tmp_path / "vitald.yaml"
    path.write_text("checks: {}\n")
    path.chmod(0o666)
    assert load(path).warnings == (
        f"{path}:1:1: everyone may change this file, and with it run programs as the sidecar",
    )


def test_http_beyond_this_machine_is_warned_about(config):
    message = "0.0.0.0:8127 answers other machines, and asks nobody for a password"
    assert config("http: 0.0.0.0:8127").warnings == (f"vitald.yaml:1:7: http: {message}",)
    assert config("http: on").warnings == ()


def test_a_control_socket_that_commands_will_not_find_is_warned_about(config, monkeypatch):
    monkeypatch.delenv("VITALD_SOCKET", raising=False)
    text = "control_socket: /run/elsewhere.sock"
    message = "commands do not read this file: give them --socket or set $VITALD_SOCKET"
    assert config(text).warnings == (f"vitald.yaml:1:17: control_socket: {message}",)
    monkeypatch.setenv("VITALD_SOCKET", "/run/elsewhere.sock")
    assert config(text).warnings == ()
