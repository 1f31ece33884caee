"""What `doctor` looks at, against real files and sockets."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vitald.cli import probes
from vitald.cli.probes import BROKEN, FINE, WARNING
from vitald.config.listen import Listener


def _config(*urls, checks=(), **more):
    listen = [Listener(url=url, **more) for url in urls]
    return SimpleNamespace(listen=listen, checks=checks)


@pytest.fixture
def taken():
    """Return a UDP port of this machine that somebody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as owner:
        owner.bind(("127.0.0.1", 0))
        yield owner.getsockname()[1]


def test_a_socket_of_its_owner_alone_is_fine(sidecar):
    sidecar.path.chmod(0o600)
    (finding,) = probes.socket_file(sidecar.path)
    assert finding.code == FINE


def test_a_socket_that_others_may_use_is_a_warning_with_its_cure(sidecar):
    sidecar.path.chmod(0o666)
    (finding,) = probes.socket_file(sidecar.path)
    assert (finding.code, finding.cure) == (WARNING, f"chmod 600 {sidecar.path}")
    assert "0666" in finding.text


def test_a_directory_where_anyone_may_put_a_socket_is_a_warning(sidecar):
    sidecar.path.chmod(0o600)
    sidecar.path.parent.chmod(0o777)
    (finding,) = probes.socket_file(sidecar.path)
    assert (finding.code, finding.cure) == (WARNING, f"chmod o-w {sidecar.path.parent}")


def test_a_file_in_the_sockets_place_is_broken(tmp_path):
    path = tmp_path / "control.sock"
    path.touch()
    (finding,) = probes.socket_file(path)
    assert finding.code == BROKEN


def test_no_socket_file_is_for_another_probe_to_tell(tmp_path):
    assert probes.socket_file(tmp_path / "none") == []


def test_a_sidecar_that_answers_tells_how_it_is(sidecar, documents):
    stats, (finding,) = probes.control(sidecar.path)
    assert stats == documents["stats"]
    assert (finding.subject, finding.code) == ("sidecar", FINE)


NOT_BUILT = "the native one is not built (No module named 'vitald._native')"


@pytest.mark.parametrize(
    ("name", "reason", "text", "has_cure"),
    [
        ("native", "", "native", False),
        ("python", NOT_BUILT, f"python: {NOT_BUILT}", True),
        ("python", "the configuration says so", "python: the configuration says so", False),
        ("python", None, "python", False),
        (None, None, "?", False),
    ],
)
def test_the_engine_of_a_running_sidecar_is_told_with_its_reason(name, reason, text, has_cure):
    stats = {"schema": "vitald.stats/1", "engine": name, "engine_reason": reason}
    (finding,) = probes.engine(None, stats)
    assert (finding.subject, finding.code, finding.text) == ("engine", FINE, text)
    assert bool(finding.cure) is has_cure


def test_without_a_sidecar_it_is_the_engine_that_would_run_here(monkeypatch):
    monkeypatch.setenv("VITALD_ENGINE", "python")
    (finding,) = probes.engine(None, {})
    assert (finding.code, finding.text) == (FINE, "python: VITALD_ENGINE says so")


def test_an_engine_that_is_asked_for_and_not_there_is_broken(monkeypatch):
    monkeypatch.setenv("VITALD_ENGINE", "native")
    monkeypatch.setitem(sys.modules, "vitald._native", None)
    (finding,) = probes.engine(None, {})
    assert (finding.code, finding.text[:47]) == (
        BROKEN,
        "cannot start: VITALD_ENGINE wants the native en",
    )
    assert finding.cure.startswith("for the native engine install Rust ")


def test_no_sidecar_is_a_warning_with_the_way_to_start_one(tmp_path):
    stats, (finding,) = probes.control(tmp_path / "none")
    assert (stats, finding.code) == ({}, WARNING)
    assert finding.cure.startswith("start it with: vitald run")


def test_a_sidecar_that_hangs_is_broken_and_named_by_its_process(sidecar, hang):
    sidecar.says["GET /v1/stats"] = hang
    Path(f"{sidecar.path}.lock").write_text("950\n")
    stats, (finding,) = probes.control(sidecar.path)
    assert (stats, finding.code) == ({}, BROKEN)
    assert finding.text.startswith(f"process 950 has {sidecar.path} and does not answer: no answer")


def test_the_addresses_of_a_sidecar_that_hangs_are_nobody_elses(sidecar, hang, tmp_path, taken):
    sidecar.says["GET /v1/stats"] = hang
    config = tmp_path / "vitald.yaml"
    config.write_text(f"listen: ['udp://127.0.0.1:{taken}']\n")
    found = {each.subject: each.code for each in probes.examine(config, str(sidecar.path))}
    assert found["sidecar"] == BROKEN
    assert "listening" not in found


def test_a_sidecar_that_refuses_is_broken(sidecar, reply):
    sidecar.says["GET /v1/stats"] = reply(b'{"error":"cannot"}', 500)
    _, (finding,) = probes.control(sidecar.path)
    assert (finding.code, finding.text) == (BROKEN, "cannot")


def test_a_free_address_is_fine_and_stays_free(taken):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = _config(f"udp://127.0.0.1:{port}")
    for _ in range(2):
        (finding,) = probes.addresses(config, {})
        assert (finding.code, finding.text) == (FINE, f"udp://127.0.0.1:{port} is free")


def test_an_address_that_somebody_else_has_is_broken(taken):
    (finding,) = probes.addresses(_config(f"udp://127.0.0.1:{taken}"), {})
    assert (finding.code, finding.text) == (
        BROKEN,
        f"udp://127.0.0.1:{taken}: address already in use",
    )


def test_an_address_of_another_machine_is_broken():
    (finding,) = probes.addresses(_config("tcp://192.0.2.1:8125"), {})
    assert finding.code == BROKEN


@pytest.mark.parametrize("scheme", ["unix", "unixgram"])
def test_a_socket_file_that_answers_is_taken_and_a_stale_one_is_not(tmp_path_factory, scheme):
    path = tmp_path_factory.mktemp("s") / "dsd"
    kind = socket.SOCK_STREAM if scheme == "unix" else socket.SOCK_DGRAM
    config = _config(f"{scheme}://{path}")
    assert probes.addresses(config, {})[0].code == FINE
    with socket.socket(socket.AF_UNIX, kind) as owner:
        owner.bind(str(path))
        if scheme == "unix":
            owner.listen()
        assert probes.addresses(config, {})[0].code == BROKEN
    assert probes.addresses(config, {})[0].code == FINE


def test_a_socket_file_in_a_directory_that_is_not_there_is_broken(tmp_path):
    (finding,) = probes.addresses(_config(f"unix://{tmp_path}/none/dsd"), {})
    assert (finding.code, "there is no directory" in finding.text) == (BROKEN, True)


def test_a_running_sidecar_is_asked_what_it_listens_on(taken):
    url = f"udp://127.0.0.1:{taken}"
    running = {"ledger": {"listeners": {url: {}}}}
    assert probes.addresses(_config(url), running)[0].code == FINE
    other = {"ledger": {"listeners": {}}}
    assert probes.addresses(_config(url), other)[0].code == WARNING


@pytest.mark.parametrize(("limit", "code"), [("212992\n", WARNING), ("67108864\n", FINE)])
def test_the_receive_buffer_is_compared_with_the_kernels_limit(tmp_path, limit, code):
    path = tmp_path / "rmem_max"
    path.write_text(limit)
    (finding,) = probes.receive_buffers(_config("udp://127.0.0.1:1"), path)
    assert finding.code == code
    cure = "sysctl -w net.core.rmem_max=4194304" if code else ""
    assert finding.cure == cure


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "unix:///tmp/x"])
def test_a_stream_has_no_receive_buffer_to_look_at(tmp_path, url):
    assert probes.receive_buffers(_config(url), tmp_path / "none") == []


def test_losses_are_told_when_there_are_any():
    (finding,) = probes.losses({"ledger": {"kernel_dropped": 5, "datagrams_received": 1000}})
    assert (finding.code, "dropped 5 datagrams" in finding.text) == (WARNING, True)
    assert probes.losses({"ledger": {"kernel_dropped": 0}}) == []
    assert probes.losses({"ledger": {"kernel_dropped": None}}) == []
    assert probes.losses({}) == []


def test_a_driver_that_is_missing_is_broken_and_named_with_its_package(monkeypatch):
    monkeypatch.setitem(probes.DRIVERS, "nodb", ("no_such_driver", "vitald[nodb]"))
    options = SimpleNamespace(url="nodb+fast://user:secret@host/db")
    check = SimpleNamespace(name="main", type="database", options=options)
    (finding,) = probes.drivers(_config(checks=[check]))
    assert (finding.code, finding.cure) == (BROKEN, "pip install 'vitald[nodb]'")
    assert finding.text.startswith("check main needs no_such_driver: ModuleNotFoundError")
    assert "secret" not in finding.text


def test_the_drivers_of_checks_that_are_there_are_fine():
    options = SimpleNamespace(url="sqlite:///x")
    check = SimpleNamespace(name="main", type="database", options=options)
    (finding,) = probes.drivers(_config(checks=[check]))
    assert (finding.code, "sqlite3" in finding.text) == (FINE, True)


def test_the_clock_is_looked_at_without_privileges():
    for finding in probes.clock():
        assert finding.subject == "clock"


@pytest.mark.parametrize(("state", "code"), [((True, 0.0), WARNING), ((False, 0.001), FINE)])
def test_a_clock_that_nobody_keeps_in_step_is_a_warning(monkeypatch, state, code):
    monkeypatch.setattr(probes, "_adjtimex", lambda: state)
    assert probes.clock()[0].code == code


def test_no_probe_leaves_a_descriptor_behind(sidecar, documents, taken):
    config = _config(f"udp://127.0.0.1:{taken}", "tcp://127.0.0.1:1")
    probes.addresses(config, {})
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        probes.addresses(config, {})
    assert len(list(Path("/proc/self/fd").iterdir())) == before
