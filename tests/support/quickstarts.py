"""The quickstarts of docs/integrations.md, followed word by word.

A quickstart is a section whose first block is `sh` and begins with "pip install". Below "Save as
`name`:" and "Append to `name`:" stands a file, `sh` blocks are run in order, and `text` blocks say
which series the sidecar has then. Port 8000 is another, so that several can be followed at once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"

CONFIG = """\
listen: ["udp://127.0.0.1:0"]
interval: 1s
checks: {}
"""

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(
    r"^(?:(Save as|Append to) `([^`\n]+)`:\n\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_SERIES = re.compile(r"^([^{\n]+)(?:\{(.*)\})?$", re.MULTILINE)


@dataclass
class Quickstart:
    """One section; a step is (what to do, the file or "", its text)."""

    title: str
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    series: list[str] = field(default_factory=list)

    @property
    def requirements(self):
        return self.steps[0][2].splitlines()[0].removeprefix("pip install ").split()


def read_quickstarts():
    _, *parts = _SECTION.split(PAGE.read_text())
    sections = zip(parts[::2], parts[1::2], strict=True)
    found = [_read(title, text) for title, text in sections]
    return [one for one in found if one.steps and one.steps[0][2].startswith("pip install ")]


def _read(title, text):
    quickstart = Quickstart(title)
    for verb, name, language, block in _BLOCK.findall(text):
        if language == "text":
            quickstart.series += block.splitlines()
        elif language == "sh" or verb:
            quickstart.steps.append((verb or "Run", name, block))
    return quickstart


@contextmanager
def follow(quickstart, folder, environment, install):
    """Do what it says; what it left running ends with the `with` block."""
    groups = []
    port = _free_port()
    try:
        with (folder / "output.log").open("wb") as log:
            for verb, name, text in quickstart.steps:
                if verb == "Save as":
                    (folder / name).write_text(text)
                elif verb == "Append to":
                    with (folder / name).open("a") as file:
                        file.write(text)
                else:
                    first, _, rest = text.partition("\n")
                    if first.startswith("pip install "):
                        install(quickstart.requirements)
                        text = rest  # noqa: PLW2901  the rest of the block
                    groups.append(_run(text.replace("8000", port), folder, environment, log))
        yield
    finally:
        for group in groups:
            _end(group)


def _run(commands, folder, environment, log):
    process = subprocess.Popen(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    if process.wait(90):
        _end(process.pid)
        raise AssertionError(f"{commands}\n{(folder / 'output.log').read_text()}")
    return process.pid


def _end(group):
    """End what a block left running: its session is its own."""
    deadline = time.monotonic() + 10
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return str(sock.getsockname()[1])


class Sidecar:
    """`vitald run`, as a user has it running."""

    def __init__(self, folder):
        self._folder = folder
        (folder / "vitald.yaml").write_text(CONFIG)
        self._environment = {**os.environ, "VITALD_SOCKET": str(folder / "control.sock")}
        self._log = folder / "sidecar.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vitald", "run", "-c", str(folder / "vitald.yaml")],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait(lambda: "control socket" in self._log.read_text(), self._log.read_text)
        self.url = re.search(r"udp://127\.0\.0\.1:\d+", self._log.read_text())[0]

    def wait_for(self, series, output):
        """Wait until `vitald metrics` has all of these; `output` is told when it never has."""
        wanted = {_parsed(text) for text in series}
        missing = set()

        def has_all():
            missing.clear()
            missing.update(wanted - self._metrics())
            return not missing

        self._wait(has_all, lambda: f"{missing} of {self._metrics()}\n{output.read_text()}")

    def stop(self):
        self._process.terminate()
        self._process.wait(20)

    def _metrics(self):
        answer = subprocess.run(
            [sys.executable, "-m", "vitald", "metrics", "--window", "1m", "-o", "json"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            return set()
        rows = json.loads(answer.stdout)["metrics"]
        return {(row["name"], frozenset(row["tags"].items())) for row in rows}

    def _wait(self, condition, explain):
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(explain())
            time.sleep(0.1)


def _parsed(text):
    name, tags = _SERIES.fullmatch(text).groups()
    # A comma divides tags only before a key: templates may hold one.
    pairs = re.split(r",(?=[a-z_]+=)", tags) if tags else []
    return name, frozenset(tuple(pair.split("=", 1)) for pair in pairs)
