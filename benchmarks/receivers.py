"""Receivers under test, behind one face: port, counts, CPU time; `sink.py` has another one."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from benchmarks.processes import ROOT, BenchmarkError, Process, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counts(NamedTuple):
    """What a receiver says it has processed.

    `refused` are lines it did not understand, `dropped` datagrams that the kernel dropped at its
    sockets, where it knows.
    """

    datagrams: int
    lines: int
    refused: int = 0
    dropped: int = 0

    def since(self, earlier: Counts) -> Counts:
        return Counts(*(now - then for now, then in zip(self, earlier, strict=True)))


class Measured(Protocol):
    """A process, or several; `benchmarks.processes.Process` has this shape."""

    def cpu_seconds(self) -> float: ...
    def stop(self) -> None: ...


class Receiver(Protocol):
    """What listens on UDP `port` of loopback."""

    port: int

    @property
    def process(self) -> Measured: ...

    def counts(self) -> Counts:
        """Return what has been processed since the start; only asked while no load runs."""
        ...


class ReceiveOnly:
    """The loop of `benchmarks.drain`; it does not look into the datagrams, so `lines` is 0."""

    def __init__(self, directory: Path, cpus: Sequence[int]) -> None:
        self._log = directory / "drain.log"
        self.process = Process([sys.executable, "-m", "benchmarks.drain"], self._log, cpus=cpus)
        self.process.wait_until(lambda: self._log.read_bytes().endswith(b"\n"))
        self.port = int(self._log.read_text())

    def counts(self) -> Counts:
        before = len(self._log.read_bytes().splitlines())
        self.process.ask_to_report()
        self.process.wait_until(lambda: len(self._log.read_bytes().splitlines()) > before)
        return Counts(int(self._log.read_text().split()[-1]), 0)


class NodeStatsd:
    """The reference server from npm, with a backend that sends nothing, flushing every 10 s."""

    def __init__(self, directory: Path, cpus: Sequence[int]) -> None:
        home = install_node_statsd()
        self.port = free_port()
        self._admin_port = free_port(socket.SOCK_STREAM)
        config = {
            "address": "127.0.0.1",
            "port": self.port,
            "mgmt_address": "127.0.0.1",
            "mgmt_port": self._admin_port,
            "flushInterval": 10_000,
            "backends": [str(ROOT / "benchmarks/node/backend.js")],
        }
        path = directory / "node-statsd.js"
        path.write_text(json.dumps(config))
        compat = ROOT / "benchmarks/node/compat.js"
        self.process = Process(
            ["node", "--require", compat, home / "node_modules/statsd/stats.js", path],
            directory / "node-statsd.log",
            cpus=cpus,
        )
        self.process.wait_until(self._answers)

    def counts(self) -> Counts:
        while True:
            flushed = self._flushed()
            open_interval = self._ask("counters")
            # A flush between the two questions would count an interval twice or not at all.
            if self._flushed() == flushed:
                break
        now = Counts(
            *(
                _number(open_interval, rf"'statsd\.{name}': (\d+)")
                for name in ("packets_received", "metrics_received", "bad_lines_seen")
            )
        )
        return Counts(*(old + new for old, new in zip(flushed, now, strict=True)))

    def _flushed(self) -> Counts:
        text = self._ask("stats")
        names = ("packets", "metrics", "bad")
        return Counts(*(_number(text, rf"bench\.{name}: (\d+)") for name in names))

    def _ask(self, command: str) -> str:
        reply = b""
        with socket.create_connection(("127.0.0.1", self._admin_port), timeout=30) as sock:
            sock.sendall(command.encode() + b"\n")
            while b"END\n\n" not in reply:
                reply += sock.recv(65_536)
        return reply.decode()

    def _answers(self) -> bool:
        try:
            self._ask("stats")
        except OSError:
            return False
        return True


class Vitald:
    """`vitald run` as users run it: default checks, windows and interval.

    `more` are lines that go into the configuration, `readers` the sockets that share the port,
    `buffer` their receive buffer in bytes if it is not the default.
    """

    def __init__(
        self,
        directory: Path,
        cpus: Sequence[int] = (),
        *,
        engine: str = "auto",
        readers: int = 1,
        buffer: int | None = None,
        more: str = "",
    ) -> None:
        self.port = free_port()
        self.control = directory / "control.sock"
        config = directory / "vitald.yaml"
        config.write_text(
            f"listen: [{{url: 'udp://127.0.0.1:{self.port}', readers: {readers}"
            f"{'' if buffer is None else f', receive_buffer: {buffer}'}}}]\n"
            f"state_dir: {directory / 'state'}\nengine: {engine}\n{more}"
        )
        self.process = Process(
            [sys.executable, "-m", "vitald", "--socket", self.control, "run", "-c", config],
            directory / "vitald.log",
            cpus=cpus,
            environment={"VITALD_ENGINE": engine},
        )
        self.process.wait_until(self._answers)

    def counts(self) -> Counts:
        ledger = self.ledger()
        refused = sum(ledger["rejected"].values()) + sum(ledger["shed"].values())
        # The sidecar's own checks are lines, too, but nobody sent them.
        lines = ledger["aggregated"] - ledger["internal_lines"]
        return Counts(ledger["datagrams_received"], lines, refused, ledger["kernel_dropped"])

    def ledger(self) -> dict[str, Any]:
        """Ask for the ledger document."""
        document: dict[str, Any] = json.loads(self.get("/v1/ledger"))
        return document

    def get(self, path: str) -> bytes:
        """Ask the control socket; raises BenchmarkError when it says no."""
        connection = _UnixConnection(self.control)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise BenchmarkError(f"cannot ask for {path}: {response.status} {body[:200]!r}")
        return body

    def _answers(self) -> bool:
        try:
            self.ledger()
        except (OSError, BenchmarkError):
            return False
        return True


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def cache_folder() -> Path:
    """Return where other people's software is installed, for the user who runs this."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vitald" / "benchmarks"


def install_node_statsd() -> Path:
    """Install the locked version of npm's `statsd` into the user's cache; returns where."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise BenchmarkError("cannot run the reference server: node and npm are missing")
    home = cache_folder()
    lock = ROOT / "benchmarks/node/package-lock.json"
    done = home / "package-lock.json"
    if (home / "node_modules/statsd").exists() and done.read_bytes() == lock.read_bytes():
        return home
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(lock.with_name("package.json"), home)
    shutil.copy(lock, home)
    command = ["npm", "ci", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    result = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchmarkError(f"cannot install the reference server: {result.stderr.strip()}")
    return home


def _number(text: str, pattern: str) -> int:
    match = re.search(pattern, text)
    if match is None:
        raise BenchmarkError(f"cannot read the reference server's counters: no {pattern}")
    return int(match[1])
