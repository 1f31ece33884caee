"""The yardstick: programs that take datagrams as the native engine does, and only count newlines.

`engine/core/examples/bare_sink.rs` says what one does. Several of them share a port as several
readers of the sidecar do, each in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import ROOT, BenchmarkError, Process
from benchmarks.receivers import Counts
from vitald.aggregator.sockets import Address, bind

if TYPE_CHECKING:
    from collections.abc import Sequence

# The default of a listener; see `receive_buffer` in the configuration.
RECEIVE_BUFFER = 4 * 1024 * 1024


class Processes:
    """Several processes, measured as one, and the sockets over which they are asked."""

    def __init__(self) -> None:
        self.members: list[Process] = []
        self.questions: list[socket.socket] = []

    def cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in self.members)

    def stop(self) -> None:
        for process in self.members:
            process.stop()
        for questions in self.questions:
            questions.close()


class BareSinks:
    """One bare sink on each of `cpus`; `buffer` is in bytes, 0 is the kernel's default."""

    def __init__(
        self, directory: Path, cpus: Sequence[int], *, buffer: int = RECEIVE_BUFFER
    ) -> None:
        program = build("bare_sink")
        self.port = 0
        self._buffer = buffer
        self.process = Processes()
        for cpu in cpus:
            self._start(program, directory / f"sink-{cpu}.log", cpu)

    def _start(self, program: Path, log: Path, cpu: int) -> None:
        questions, answers = socket.socketpair()
        questions.settimeout(10)
        address = Address("udp", "127.0.0.1", self.port)
        with answers, bind(address, receive_buffer=self._buffer, share=True) as sock:
            self.port = sock.getsockname()[1]
            self.process.members.append(
                Process([program], log, cpus=[cpu], stdin=sock.fileno(), stdout=answers.fileno())
            )
        self.process.questions.append(questions)

    def counts(self) -> Counts:
        each = [self._ask(questions) for questions in self.process.questions]
        return Counts(*map(sum, zip(*each, strict=True)))

    @staticmethod
    def _ask(questions: socket.socket) -> Counts:
        questions.sendall(b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            part = questions.recv(4096)
            if not part:
                raise BenchmarkError("cannot ask the bare sink: it ended")
            reply += part
        counted = json.loads(reply)
        # No datagram of the traffic ends with a newline.
        return Counts(
            counted["datagrams"],
            counted["datagrams"] + counted["newlines"],
            dropped=counted["kernel_dropped"],
        )


@cache
def build(example: str) -> Path:
    """Compile a program of `engine/core/examples` as the engine is; return where it is."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise BenchmarkError(f"cannot build {example}: cargo is missing")
    command = [cargo, "build", "--release", "--package=vitald-core", f"--example={example}"]
    result = subprocess.run(
        [*command, "--message-format=json"],
        cwd=ROOT / "engine",
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BenchmarkError(f"cannot build {example}: {result.stderr.strip()[-2000:]}")
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    return next(Path(each["executable"]) for each in messages if each.get("executable"))
