"""A sidecar that says what a test tells it to, and ways to run the command line against it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HANG = object()


class Reply(NamedTuple):
    """An HTTP answer; `raw` replaces all of it, `pieces` sends the body chunked."""

    body: bytes = b""
    status: int = 200
    pieces: int = 0
    raw: bytes | None = None

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        head = f"HTTP/1.1 {self.status} Said\r\nContent-Type: application/json\r\n"
        if not self.pieces:
            length = f"Content-Length: {len(self.body)}\r\n\r\n"
            return (head + length).encode() + self.body
        size = max(1, -(-len(self.body) // self.pieces))
        parts = [self.body[at : at + size] for at in range(0, len(self.body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunks + b"0\r\n\r\n"


class FakeSidecar:
    """Listens on a Unix socket; `says` maps `METHOD /path` to a document, a Reply or a function.

    A function gets the query text and returns one of the former. `asked` has every request's
    first line and `HANG` accepts without ever answering.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says: dict[str, object] = {}
        self.asked: list[str] = []
        self._held: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for held in self._held:
            held.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        request = b""
        while b"\r\n\r\n" not in request:
            part = connection.recv(65536)
            if not part:
                connection.close()
                return
            request += part
        first = request.split(b"\r\n", 1)[0].decode()
        self.asked.append(first)
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        said = self.says.get(f"{method} {path}", Reply(b'{"error":"cannot find it"}', 404))
        if callable(said):
            said = said(query)
        if said is HANG:
            self._held.append(connection)
            return
        if isinstance(said, dict):
            said = Reply(json.dumps(said).encode(), pieces=3)
        with connection, contextlib.suppress(OSError):
            connection.sendall(said.encoded())


class Run(NamedTuple):
    """What a run of the command line printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def reply():
    """Build HTTP answers."""
    return Reply


@pytest.fixture
def hang():
    """Return what a sidecar says that accepts and never answers."""
    return HANG


@pytest.fixture
def sidecar(tmp_path_factory):
    """A fake sidecar whose socket path is short enough for the kernel."""
    fake = FakeSidecar(tmp_path_factory.mktemp("s") / "control.sock")
    yield fake
    fake.close()


@pytest.fixture
def environ(sidecar, tmp_path):
    """An environment in which nothing of the machine's own shows."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "PYTHONWARNINGS": "error",
        "TERM": "xterm",
        "VITALD_SOCKET": str(sidecar.path),
    }


@pytest.fixture
def vitald(environ) -> Callable[..., Run]:
    """Run a command line as a process of its own, through pipes."""

    def run(*arguments: str, text: bool = True, **changes: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "vitald", *arguments],
            env={**environ, **changes},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out = done.stdout.decode() if text else done.stdout
        return Run(done.returncode, out, done.stderr.decode())

    return run


@pytest.fixture
def documents(sidecar):
    """Have the sidecar answer with the golden documents, and return them by name."""
    golden = Path(__file__).parent / "golden"
    found = {path.stem: json.loads(path.read_text()) for path in golden.glob("*.json")}
    for name, document in found.items():
        sidecar.says[f"GET /v1/{name}"] = document
    return found


class Terminal:
    """A process on a pseudo-terminal of 100 columns and 30 lines."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            # The first terminal that a session's leader opens becomes its own, so ^C reaches it.
            ["/bin/sh", "-c", f'exec "$@" <{os.ttyname(slave)}', "sh", *command],
            env=environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self.slave = slave
        self.output = b""
        self._at = 0

    def read_until(self, wanted: bytes, seconds: float = 20.0) -> bytes:
        """Return what is printed up to and with `wanted`, from where the last call ended."""
        start, deadline = self._at, time.monotonic() + seconds
        while (found := self.output.find(wanted, start)) < 0:
            if time.monotonic() > deadline:
                pytest.fail(f"{wanted!r} never came, only {self.output[start:][-2000:]!r}")
            self._read(0.1)
        self._at = found + len(wanted)
        return self.output[start : self._at]

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def local_modes(self) -> int:
        return termios.tcgetattr(self.slave)[3]

    def wait(self, seconds: float = 20.0) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.wait(1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)
        os.close(self.slave)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if ready:
            self.output += os.read(self._master, 65536)
        return bool(ready)


@pytest.fixture
def terminal(environ):
    """Run a command line on a terminal of its own; `command` runs something else there."""
    opened: list[Terminal] = []

    def run(*arguments: str, command: list[str] | None = None, **changes: str) -> Terminal:
        command = command or [sys.executable, "-m", "vitald", *arguments]
        opened.append(Terminal(command, {**environ, **changes}))
        return opened[-1]

    yield run
    for each in opened:
        each.close()
