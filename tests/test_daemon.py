"""The sidecar as users run it: a process with a config, signals, and the CLI beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFIG = """\
listen: ["udp://127.0.0.1:0", "unixgram://{folder}/statsd.sock", "unix://{folder}/stream.sock"]
interval: 1s
checks: {{}}
"""


class Sidecar:
    def __init__(self, folder, config=CONFIG):
        self.folder = folder
        self.config = folder / "vitald.yaml"
        self.config.write_text(config.format(folder=folder))
        self.socket = folder / "control.sock"
        self.environment = {**os.environ, "VITALD_SOCKET": str(self.socket)}
        self.log = folder / "log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vitald", "run", "-c", str(self.config)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        return self

    def wait_ready(self):
        wait_until(lambda: "control socket" in self.log.read_text(), self)
        return self

    def ask(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "vitald", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def document(self, *arguments):
        answer = self.ask(*arguments, "-o", "json")
        assert arguments[0] == "health" or answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def metrics(self, window="1m"):
        return {row["name"]: row for row in self.document("metrics", "--window", window)["metrics"]}

    def udp_port(self):
        return int(re.search(r"udp://127\.0\.0\.1:(\d+)", self.log.read_text())[1])

    def send(self, *datagrams):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in datagrams:
                sock.sendto(datagram, ("127.0.0.1", self.udp_port()))

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)


def wait_until(condition, sidecar=None, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, sidecar.log.read_text() if sidecar else "time is up"
        if sidecar is not None:
            assert sidecar.process.poll() is None, sidecar.log.read_text()
        time.sleep(0.02)


@contextmanager
def running(folder, config=CONFIG):
    sidecar = Sidecar(folder, config).start()
    try:
        yield sidecar.wait_ready()
    finally:
        if sidecar.process.poll() is None:
            sidecar.process.kill()
            sidecar.process.wait()


@pytest.fixture
def sidecar(tmp_path):
    with running(tmp_path) as started:
        yield started


def test_a_packet_comes_out_of_the_cli(sidecar):
    sidecar.send(b"jobs:3|c\nwait:20|ms|#queue:mail\ndepth:7|g\nusers:ann|s")
    wait_until(lambda: len(sidecar.metrics()) == 4)
    rows = sidecar.metrics()
    assert rows["jobs"]["sum"] == 3
    assert rows["wait"]["tags"] == {"queue": "mail"}
    assert rows["depth"]["last"] == 7
    assert rows["users"]["unique"] == 1
    ledger = sidecar.document("ledger")
    assert (ledger["lines"], ledger["aggregated"], ledger["rejected"]) == (4, 4, {})


def test_what_a_client_claims_and_did_not_arrive_is_in_the_ledger(sidecar):
    who = b"#client:web-1-aabbcc"
    sidecar.send(
        b"jobs:3|c\nvitald.client.received:3|c|" + who,
        b"vitald.client.claimed:5|g|%b\nvitald.client.claimed_datagrams:2|g|%b\n"
        b"vitald.client.started:%.3f|g|%b" % (who, who, time.time(), who),
    )
    wait_until(lambda: sidecar.document("ledger")["clients_total"]["lost"] == 2)
    (entry,) = sidecar.document("stats")["ledger"]["clients"]
    assert (entry["client"], entry["claimed"], entry["received"]) == ("web-1-aabbcc", 5, 3)
    assert entry["lost_datagrams"] == 1


def test_sigterm_flushes_what_was_received_and_leaves_no_socket_file(tmp_path):
    config = CONFIG + "forward: {{out: {{type: console}}}}\ninterval: 60s\n"
    config = config.replace("interval: 1s\n", "")
    with running(tmp_path, config) as sidecar:
        sidecar.send(*[b"jobs:1|c"] * 100)
        assert sidecar.stop() == 0
        assert '"name":"jobs"' in sidecar.log.read_text()
        assert sorted(path.name for path in tmp_path.glob("*.sock*")) in ([], ["control.sock.lock"])


def test_what_the_file_says_of_dialect_limits_and_windows_holds(tmp_path):
    config = (
        "listen: [{{url: 'udp://127.0.0.1:0', gauge_sign: absolute}}]\ninterval: 1s\n"
        "windows: [1s, 20s]\nlimits: {{series: 2, name_length: 5, tags: 1}}\nchecks: {{}}\n"
    )
    with running(tmp_path, config) as sidecar:
        sidecar.send(b"g:5|g\ng:-2|g\nc:1|c\nd:1|c\ne:1|c\nabcdef:1|c\nc:1|c|#a,b")
        wait_until(lambda: len(sidecar.document("metrics")["metrics"]) == 3)
        document = sidecar.document("metrics")
        rows = {row["name"]: row for row in document["metrics"]}
        assert document["window_seconds"] == 20
        assert rows["g"]["last"] == -2
        assert rows["vitald.overflow"]["sum"] == 2
        assert sidecar.document("ledger")["rejected"] == {"too_long": 1, "too_many_tags": 1}
        for command in (["export"], ["metrics", "-o", "prometheus"], ["stats"]):
            assert sidecar.ask(*command).returncode == 0


def test_sigint_stops_as_cleanly(sidecar):
    assert sidecar.stop(signal.SIGINT) == 0
    assert not sidecar.socket.exists()


def test_a_second_sidecar_on_the_same_control_socket_is_refused(sidecar, tmp_path):
    before = sidecar.socket.stat().st_ino
    second = subprocess.run(
        [sys.executable, "-m", "vitald", "run", "-c", str(sidecar.config)],
        env=sidecar.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 69
    line = second.stderr.strip().splitlines()[-1]
    assert line.startswith("vitald: cannot bind control socket")
    assert str(sidecar.process.pid) in line
    assert sidecar.socket.stat().st_ino == before
    assert sidecar.document("ledger")["lines"] == 0


def test_which_engine_runs_and_why_is_in_the_log_in_stats_and_in_doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("VITALD_ENGINE", "python")
    with running(tmp_path) as sidecar:
        assert "INFO vitald: engine python: VITALD_ENGINE says so\n" in sidecar.log.read_text()
        stats = sidecar.document("stats")
        assert (stats["engine"], stats["engine_reason"]) == ("python", "VITALD_ENGINE says so")
        doctor = json.loads(sidecar.ask("doctor", "-c", str(sidecar.config), "-o", "json").stdout)
        (finding,) = [each for each in doctor["findings"] if each["subject"] == "engine"]
        assert finding["message"] == "python: VITALD_ENGINE says so"


def test_an_engine_that_does_not_exist_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("VITALD_ENGINE", "rust")
    sidecar = Sidecar(tmp_path).start()
    assert sidecar.process.wait(20) == 69
    assert sidecar.log.read_text().strip().splitlines()[-1] == (
        "vitald: cannot start: VITALD_ENGINE must be auto, python or native"
    )


def test_several_readers_take_every_packet_of_one_address(tmp_path):
    config = "listen: [{{url: 'udp://127.0.0.1:0', readers: 3}}]\ninterval: 1s\nchecks: {{}}\n"
    with running(tmp_path, config) as sidecar:
        for _ in range(30):
            sidecar.send(b"jobs:1|c")  # each time from another port
        wait_until(lambda: sidecar.metrics().get("jobs", {}).get("sum") == 30)
        listeners = sidecar.document("ledger")["listeners"]
        assert [each["datagrams"] for each in listeners.values()] == [30]


def test_an_address_in_use_is_one_clear_line_and_nothing_stays_bound(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        sidecar = Sidecar(tmp_path, CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}")).start()
        assert sidecar.process.wait(20) == 69
    assert sidecar.log.read_text().strip().splitlines()[-1] == (
        f"vitald: cannot bind udp://127.0.0.1:{port}: address already in use"
    )
    assert not sidecar.socket.exists()
    assert not list(tmp_path.glob("st*.sock"))


def test_a_wrong_file_is_refused_with_every_fault(tmp_path):
    sidecar = Sidecar(tmp_path, "interval: soon\nlisten: [udq://x]\nchceks: {{}}\n").start()
    assert sidecar.process.wait(20) == 65
    text = sidecar.log.read_text()
    for place in ("vitald.yaml:1:11", "vitald.yaml:2:10", "vitald.yaml:3:1"):
        assert place in text


def test_a_killed_sidecar_leaves_files_that_the_next_one_takes_over(tmp_path):
    with running(tmp_path) as first:
        first.process.kill()
        first.process.wait()
        assert first.socket.exists()
        first.log.unlink()
        with running(tmp_path) as second:
            assert second.document("ledger")["lines"] == 0


def test_sighup_applies_a_good_file_and_keeps_the_old_one_for_a_bad_one(tmp_path):
    check = "checks: {{root: {{type: disk, path: /, interval: 1h}}}}\n"
    with running(tmp_path) as sidecar:
        good = CONFIG.replace("checks: {{}}\n", check).format(folder=tmp_path)
        sidecar.config.write_text(good)
        sidecar.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded: checks.root" in sidecar.log.read_text(), sidecar)
        assert [each["name"] for each in sidecar.document("health")["checks"]] == ["root"]
        sidecar.config.write_text(good.replace("type: disk", "type: dixk"))
        sidecar.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "nothing was changed" in sidecar.log.read_text(), sidecar)
        assert "vitald.yaml:3:" in sidecar.log.read_text()
        assert [each["name"] for each in sidecar.document("health")["checks"]] == ["root"]


def test_reload_by_the_cli_says_what_is_wrong(sidecar):
    sidecar.config.write_text("intervall: 1s\n")
    answer = sidecar.ask("reload")
    assert answer.returncode == 65
    assert "vitald.yaml:1:1" in answer.stderr
    assert "interval" in answer.stderr


def test_reloads_at_the_same_time_wait_for_each_other(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        forward = f"forward: {{{{deaf: {{{{type: graphite, url: '{url}'}}}}}}}}\n"
        config = CONFIG + "shutdown_timeout: 1s\n"
        with running(tmp_path, config + forward) as sidecar:
            sidecar.send(b"jobs:1|c")
            # Now an interval is on its way, and removing the target takes its time.
            connection, _ = deaf.accept()
            sidecar.config.write_text(config.format(folder=tmp_path))
            sidecar.process.send_signal(signal.SIGHUP)
            assert sidecar.ask("reload").returncode == 0
            log = sidecar.log.read_text()
            assert log.count("reloaded: forward.deaf") == 1
            assert log.count("reloaded: nothing changed") == 1
            assert "Traceback" not in log
            connection.close()


def test_a_reload_that_comes_while_it_stops_changes_nothing(tmp_path):
    with running(tmp_path) as sidecar:
        forward = "forward: {{out: {{type: console, output: stderr}}}}\n"
        sidecar.config.write_text((CONFIG + forward).format(folder=tmp_path))
        for _ in range(3):
            sidecar.process.send_signal(signal.SIGHUP)
        sidecar.process.send_signal(signal.SIGTERM)
        for _ in range(3):
            sidecar.process.send_signal(signal.SIGHUP)
        assert sidecar.process.wait(20) == 0
        assert "Traceback" not in sidecar.log.read_text()
        assert not list(tmp_path.glob("*.sock"))


def test_a_sidecar_one_of_whose_parts_has_failed_stops_cleanly_and_says_so(tmp_path):
    failing = (
        "import sys\n"
        "from vitald.aggregator.flusher import Flusher\n"
        "async def run(self): raise ValueError('broken')\n"
        "Flusher.run = run\n"
        "from vitald.cli import main\n"
        "sys.exit(main())\n"
    )
    config = tmp_path / "vitald.yaml"
    config.write_text(CONFIG.format(folder=tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", failing, "run", "-c", str(config)],
        env={**os.environ, "VITALD_SOCKET": str(tmp_path / "control.sock")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 70
    assert done.stderr.count("ValueError: broken") == 1
    assert "cannot go on: flusher failed" in done.stderr
    assert not list(tmp_path.glob("*.sock"))


def test_a_negative_observation_is_a_value_and_no_delta():
    from vitald.aggregator.python_engine import PythonEngine
    from vitald.aggregator.selector import Selector
    from vitald.checks.base import Observation
    from vitald.clock import Instant
    from vitald.wiring import OBSERVATION_DIALECT, observation_lines

    engine = PythonEngine(Instant(0, 0))
    for value in (5.0, -5.0, None):
        lines = observation_lines([Observation("level", value)], [("disk", 0.25)])
        engine.ingest(lines, dialect=OBSERVATION_DIALECT)
    engine.rotate(Instant(10, 10))
    rows = {row.name: row for batch in engine.query(Selector(), 10).rows() for row in batch}
    assert rows["level"].last == -5
    assert (rows["check_duration_seconds"].count, rows["check_duration_seconds"].max) == (3, 0.25)


@pytest.mark.skipif(Path("/proc").exists() is False, reason="reads /proc")
def test_the_sample_services_counts_equal_what_it_did_to_the_last_one(tmp_path):
    with running(tmp_path) as sidecar:
        service = subprocess.run(
            [
                sys.executable,
                "-m",
                "vitald.demo.service",
                str(tmp_path / "jobs.sqlite"),
                "--tasks",
                "3000",
            ],
            env={**os.environ, "VITALD_URL": f"udp://127.0.0.1:{sidecar.udp_port()}"},
            capture_output=True,
            text=True,
            check=True,
        )
        did = json.loads(service.stdout)
        assert did["created"] == 3000
        expected = {
            "tasks_created_total": did["created"],
            "tasks_completed_total": did["completed"],
            "tasks_failed_total": did["failed"],
            "tasks_cancelled_total": did["cancelled"],
            "hooks_executed_total": did["hooks"],
            "locks_acquired_total": did["locks"],
            "locks_released_total": did["unlocks"],
        }

        def counted():
            totals = dict.fromkeys(expected, 0)
            for row in sidecar.document("metrics", "--window", "5m")["metrics"]:
                if row["name"] in totals:
                    totals[row["name"]] += row["sum"]
            return totals

        def timed():
            rows = sidecar.document("metrics", "task_duration_seconds", "--window", "5m")
            return sum(row["count"] for row in rows["metrics"])

        wait_until(lambda: timed() >= 3000 and counted()["tasks_created_total"] >= 3000)
        assert counted() == expected
        assert timed() == 3000
