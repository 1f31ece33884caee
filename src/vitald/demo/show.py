"""Runs the demo: every step is the command that a user would type."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Longer than the service runs, so that one window shows all it did.
WINDOW = "1m"
SERVICE_SECONDS = 8
READY_SECONDS = 10.0

CONFIG = """\
# The built-in default, with an interval short enough to watch, and with the two checks that need
# to be told what to look at.
listen: ["udp://127.0.0.1:0"]  # any free port
interval: 1s
state_dir: {folder}/state
checks:
  root_disk: {{type: disk, path: /, interval: 5s, timeout: 2s}}
  memory: {{type: memory, interval: 5s, timeout: 2s}}
  cpu: {{type: cpu, interval: 5s, timeout: 2s}}
  disk_io: {{type: disk_io, interval: 5s, timeout: 2s}}
  jobs_db: {{type: database, url: "sqlite:///{folder}/jobs.sqlite", interval: 3s, timeout: 2s}}
  docker: {{type: docker, interval: 3s, timeout: 2s}}
"""

# What the service says it did, and the metric that counts it.
COUNTED = {
    "created": "tasks_created_total",
    "completed": "tasks_completed_total",
    "failed": "tasks_failed_total",
    "cancelled": "tasks_cancelled_total",
    "hooks": "hooks_executed_total",
    "locks": "locks_acquired_total",
    "unlocks": "locks_released_total",
    "timed": "task_duration_seconds",
}


def run() -> int:
    """Show a sidecar at work; return the exit code.

    On a terminal it goes on with a live view until Ctrl-C, elsewhere it ends by itself.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitald-demo-")))
        demo = Demo(folder)
        stack.callback(demo.stop)
        signal.signal(signal.SIGINT, demo.interrupt)
        try:
            return demo.show()
        except KeyboardInterrupt:
            return 0


class Demo:
    """One run in a temporary folder; `stop` ends every process that it started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self._environment = {
            **os.environ,
            "VITALD_SOCKET": str(folder / "control.sock"),
        }
        self._is_starting = False
        self._is_interrupted = False

    def interrupt(self, *_: object) -> None:
        """Raise KeyboardInterrupt, but not between a process and the note that there is one."""
        self._is_interrupted = True
        if not self._is_starting:
            raise KeyboardInterrupt

    def show(self) -> int:
        config = self._folder / "vitald.yaml"
        config.write_text(CONFIG.format(folder=self._folder))
        _say(f"Starting the sidecar: vitald run -c {config}")
        sidecar = self._start("-m", "vitald", "run", "-c", str(config))
        if not self._is_ready(sidecar):
            _say("cannot start the sidecar: see above")
            return 1
        _say(f"Starting a sample service: tasks, hooks and locks over SQLite, {SERVICE_SECONDS} s")
        service = self._service("--seconds", str(SERVICE_SECONDS), "--hold")
        did = json.loads((service.stdout.readline() if service.stdout else "") or "{}")
        if not did:
            _say("cannot run the sample service: see above")
            return 1
        self._wait_for(did)
        for command in (["metrics", "--window", WINDOW], ["health"], ["stats"]):
            self._tell(*command)
        is_exact = self._compare(did)
        if sys.stdout.isatty():
            _say("Live view; Ctrl-C ends the demo.")
            self._service("--seed", "2")
            self._tell("top")
        return 0 if is_exact else 1

    def stop(self) -> None:
        """End what is still running, the sidecar last; more Ctrl-C do not hurry it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in reversed(self._processes):
            _end(process)

    def _service(self, *options: str) -> subprocess.Popen[str]:
        database = str(self._folder / "jobs.sqlite")
        return self._start("-m", "vitald.demo.service", database, *options)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        self._is_starting = True
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment,
            stdout=subprocess.PIPE if "vitald.demo.service" in arguments else None,
            # Ctrl-C is for the demo, which then ends them in order.
            start_new_session=True,
            text=True,
        )
        self._processes.append(process)
        self._is_starting = False
        if self._is_interrupted:
            raise KeyboardInterrupt
        return process

    def _is_ready(self, sidecar: subprocess.Popen[str]) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while sidecar.poll() is None and time.monotonic() < deadline:
            ledger = self._ask("ledger", "-o", "json")
            if ledger is not None:
                # The listener's address, with the port that the kernel chose.
                self._environment["VITALD_URL"] = next(iter(ledger["listeners"]))
                return True
            time.sleep(0.1)
        return False

    def _wait_for(self, did: Mapping[str, int]) -> None:
        """Wait until the interval with the service's last packet is sealed."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._counted() != _expected(did):
            time.sleep(0.2)

    def _counted(self) -> dict[str, int]:
        document = self._ask("metrics", "--window", WINDOW, "-o", "json") or {"metrics": []}
        totals = dict.fromkeys(COUNTED.values(), 0)
        for row in document["metrics"]:
            if row["name"] in totals:
                totals[row["name"]] += row["sum" if row["type"] == "counter" else "count"]
        return totals

    def _compare(self, did: Mapping[str, int]) -> bool:
        counted, expected = self._counted(), _expected(did)
        _say("What the service says it did, and what the sidecar counted:")
        for name, value in expected.items():
            print(f"  {name:<24} {value:>8} {counted[name]:>8.0f}")
        return counted == expected

    def _ask(self, *arguments: str) -> dict[str, Any] | None:
        answer = subprocess.run(
            [sys.executable, "-m", "vitald", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            return None
        document: dict[str, Any] = json.loads(answer.stdout)
        return document

    def _tell(self, *arguments: str) -> None:
        _say(f"$ vitald {' '.join(arguments)}")
        with suppress(KeyboardInterrupt):
            subprocess.run(
                [sys.executable, "-m", "vitald", *arguments], env=self._environment, check=False
            )


def _expected(did: Mapping[str, int]) -> dict[str, int]:
    return {name: did.get(what, 0) for what, name in COUNTED.items()}


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
