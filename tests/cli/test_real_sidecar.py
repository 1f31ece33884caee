"""The commands against a sidecar that runs: both sides mean the same by every document."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

CONFIG = """\
listen: ["udp://127.0.0.1:{port}"]
interval: 1s
state_dir: {folder}/state
checks:
  listener: {{type: tcp, url: "tcp://127.0.0.1:{open_port}", interval: 1s, timeout: 500ms}}
"""


NAMES = {"jobs", "depth", "render", "took_seconds", "users"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Run a sidecar with one check; yield its environment and its configuration's path."""
    folder = tmp_path_factory.mktemp("real")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = folder / "vitald.yaml"
        open_port = server.getsockname()[1]
        config.write_text(CONFIG.format(port=port, folder=folder, open_port=open_port))
        config.chmod(0o600)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "VITALD_SOCKET": str(folder / "c.sock"),
            "VITALD_URL": f"udp://127.0.0.1:{port}",
            "VITALD_CONFIG": str(config),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "vitald", "run"], env=environ, stderr=subprocess.PIPE
        ) as process:
            try:
                _until(lambda: _vitald(environ, "ledger")[0] == 0, process)
                yield environ, config
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=20)


def _vitald(environ, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "vitald", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _rows(ask):
    return json.loads(ask("metrics", "-o", "json"))["metrics"]


def _until(holds, process=None, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ask(running):
    """Run a command against the sidecar; it must succeed."""
    environ, _ = running

    def asked(*arguments, code=0):
        found, out, err = _vitald(environ, *arguments)
        assert (found, "Traceback" in err) == (code, False), err
        return out

    return asked


@pytest.fixture(scope="module")
def sent(ask):
    """Send one value of every type and wait until the sidecar has sealed them."""
    ask("send", "c", "jobs", "3", "-l", "queue=mail", "-l", "slow")
    ask("send", "g", "depth", "-7")
    ask("send", "ms", "render", "120")
    ask("send", "d", "took_seconds", "0.25", "--rate", "0.5")
    ask("send", "s", "users", "ann")
    _until(lambda: {row["name"] for row in _rows(ask)} >= NAMES)


def test_the_table_shows_what_was_sent(ask, sent):
    rows = {line.split()[0]: line.split()[1:] for line in ask("metrics").splitlines()[1:]}
    assert rows["jobs"][:3] == ["queue=mail,slow", "counter", "1"]
    assert "3" in rows["jobs"]
    assert "-7" in rows["depth"]
    assert "120ms" in rows["render"]
    assert rows["took_seconds"][:2] == ["distribution", "2"]
    assert "250ms" in rows["took_seconds"]


def test_every_format_has_every_series(ask, sent):
    lines = ask("metrics", "-o", "ndjson").splitlines()
    assert {json.loads(line)["name"] for line in lines} >= NAMES
    assert {
        row["name"] for row in csv.DictReader(io.StringIO(ask("metrics", "-o", "csv")))
    } >= NAMES
    assert "jobs_total{" in ask("metrics", "-o", "prometheus")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["j*", "users"], ["jobs", "users"]),
        (["-l", "queue=mail"], ["jobs"]),
        (["-l", "queue=m*"], ["jobs"]),
        (["-l", "slow"], ["jobs"]),
        (["-l", "queue=web"], []),
        (["--type", "set", "--type", "gauge", "depth", "users"], ["depth", "users"]),
        (["--sort", "name", "--top", "1", "r*"], ["render"]),
        (["--window", "5m", "depth"], ["depth"]),
    ],
)
def test_every_filter_means_the_same_on_both_sides(ask, sent, arguments, names):
    found = json.loads(ask("metrics", "-o", "json", *arguments))
    assert sorted(row["name"] for row in found["metrics"]) == names


def test_every_sort_key_is_known_on_both_sides(ask, sent):
    from vitald.cli.metrics import SORTS

    for key in SORTS:
        ask("metrics", "-o", "json", "--sort", key)


def test_a_window_that_is_not_kept_is_wrong_usage(ask):
    ask("metrics", "--window", "6d", code=64)


def test_health_waits_for_the_check_and_answers_with_its_status(ask):
    ask("health", "--wait", "healthy", "--timeout", "20s", "--interval", "50ms")
    lines = ask("health").splitlines()
    assert lines[0] == "✔ healthy: 1 of 1 checks"
    assert lines[3].startswith("listener  tcp   ✔ healthy")
    assert ask("health", "--run", "-o", "nagios").startswith("VITALD OK - 1 of 1 checks healthy |")
    ask("health", "none", code=3)


def test_one_check_is_run_and_shown(ask):
    shown = ask("check", "listener")
    assert "this run  ✔ healthy" in shown
    assert json.loads(ask("check", "listener", "-o", "json"))["result"]["code"] == 0
    ask("check", "none", code=64)


def test_stats_and_top_show_this_machine(ask):
    shown = ask("stats")
    for section in ("CPU", "MEMORY", "DISK", "PROCESS"):
        assert f"\n{section}\n" in shown or f"\n{section} " in shown
    assert "✔ balanced" in shown
    assert ask("top").startswith("vitald on ")


def test_the_ledger_balances_and_shows_the_last_rejected_line(ask, running):
    environ, _ = running
    port = int(environ["VITALD_URL"].rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"\x1b[2Jevil:1|c\njobs:x|c", ("127.0.0.1", port))
    _until(lambda: "bad_value" in ask("ledger"))
    shown = ask("ledger")
    assert shown.splitlines()[0].endswith("✔ balanced")
    assert "\\u001b[2Jevil:1|c" in shown or "\\x1b[2Jevil:1|c" in shown
    assert "\x1b" not in shown


def test_the_export_has_everything(ask):
    document = json.loads(ask("export"))
    assert document["schema"] == "vitald.export/1"
    assert {"metrics", "health", "stats", "events"} <= set(document)


def test_a_reload_tells_what_changed_and_a_bad_file_every_fault(ask, running):
    environ, config = running
    good = config.read_text()
    config.write_text(f"{good}log_level: warning\n")
    assert "log_level" in _vitald(environ, "reload")[2]
    config.write_text(f"{good}bogus: 1\nother: 2\n")
    code, _, told = _vitald(environ, "reload")
    assert code == 65
    assert told.count(f"  {config}:") == 2
    config.write_text(good)
    assert _vitald(environ, "reload")[0] == 0


def test_doctor_finds_the_sidecar_and_its_listener(running):
    environ, _ = running
    found = json.loads(_vitald(environ, "doctor", "-o", "json")[1])["findings"]
    told = {finding["subject"]: finding for finding in found}
    assert told["sidecar"]["code"] == 0
    assert told["listening"]["message"] == f"{environ['VITALD_URL']}, the sidecar has it"
    assert told["control socket"]["code"] == 0
