"""The demo as a user runs it, with its output read by a pipe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OPERATIONS = (
    "tasks_created_total",
    "tasks_completed_total",
    "tasks_failed_total",
    "tasks_cancelled_total",
    "task_duration_seconds",
    "hooks_executed_total",
    "locks_acquired_total",
    "locks_released_total",
)
SYSTEM = (
    "cpu_usage_percent",
    "memory_usage_bytes",
    "disk_usage_bytes",
    "database_connections_active",
    "docker_containers_running",
)
STATUSES = ("database_status", "docker_status", "disk_space_status")
DEMO = [sys.executable, "-m", "vitald", "demo"]


@pytest.fixture(scope="module")
def shown():
    done = subprocess.run(DEMO, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(shown, name):
    table = shown[shown.index("METRIC") : shown.index("$ vitald health")]
    return [line.split() for line in table.splitlines() if line.split()[:1] == [name]]


@pytest.mark.parametrize("name", [*OPERATIONS, *SYSTEM, *STATUSES])
def test_every_metric_of_the_mission_is_shown(shown, name):
    assert rows(shown, name)


@pytest.mark.parametrize("name", [*SYSTEM[:-1], *STATUSES])
def test_what_the_machine_has_is_shown_as_a_number(shown, name):
    for row in rows(shown, name):
        value = row[row.index("gauge") + 3]
        assert re.match(r"[0-9]", value), row


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_sidecar_counted_what_the_service_did_to_the_last_one(shown, name):
    compared = shown[shown.index("What the service says it did") :]
    did, counted = re.search(rf"{name} +(\d+) +(\d+)", compared).groups()
    assert did == counted
    assert int(did) > 0


def test_sqlites_connections_are_the_three_handles_that_the_service_holds(shown):
    assert rows(shown, "database_connections_active")[0][5] == "3"


def test_without_a_docker_daemon_its_count_is_unavailable_and_the_reason_is_shown(shown):
    health = shown[shown.index("$ vitald health") : shown.index("$ vitald stats")]
    (docker,) = (line for line in health.splitlines() if line.startswith("docker "))
    count = " ".join(rows(shown, "docker_containers_running")[0])
    if "unhealthy" in docker:
        assert "unavailable" in count
        assert "cannot reach Docker" in docker
    else:
        assert "unavailable" not in count


@pytest.mark.parametrize("presses", [1, 5])
def test_ctrl_c_ends_the_sidecar_and_the_service_with_the_demo(presses):
    demo = subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said = ""
    while "Starting a sample service" not in said:
        said += demo.stdout.readline()
    folder = re.search(r"vitald run -c (\S+)/vitald.yaml", said)[1]
    deadline = time.monotonic() + 20
    while len(processes_of(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(presses):
        os.killpg(demo.pid, signal.SIGINT)
        time.sleep(0.03)  # as impatient as a person can be
    rest, _ = demo.communicate(timeout=30)
    assert "Traceback" not in rest
    assert processes_of(folder) == []
    assert not Path(folder).exists()


def processes_of(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes()
        except OSError:
            continue
        if folder.encode() in text:
            found.append(text)
    return found
