"""One run: load sent to a receiver, and what came of it by the receiver's own counters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.receivers import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.receivers import Receiver
    from benchmarks.traffic import Mix


class Load(NamedTuple):
    """What is sent flat out: from one thread on each of `cpus`, each with some sockets.

    `whole` datagrams are made one by one, not cut from longer messages: a third of the speed.
    """

    mix: Mix
    cpus: Sequence[int]
    sockets: int = 1
    whole: bool = False


class Run(NamedTuple):
    """What was sent in `seconds`, what was processed of it, and what CPU time that took."""

    sent: Counts
    seconds: float
    done: Counts
    cpu: float

    @property
    def busy(self) -> float:
        """Cores that were used."""
        return self.cpu / self.seconds

    @property
    def offered(self) -> float:
        """Datagrams per second that were sent."""
        return self.sent.datagrams / self.seconds

    @property
    def unaccounted(self) -> int:
        """Datagrams that were sent, and neither received nor dropped by the kernel."""
        return self.sent.datagrams - self.done.datagrams - self.done.dropped


def measure(receiver: Receiver, load: Load, *, warm: float, seconds: float) -> Run:
    """Send for `warm` seconds, then for `seconds` that count; raises BenchmarkError."""
    with _sender(receiver.port, load, warm) as send:
        send()
    with _sender(receiver.port, load, seconds) as send:
        # Not before all is ready: what the receiver does meanwhile is not to count.
        before, cpu_before = _settled(receiver), receiver.process.cpu_seconds()
        sent, took = send()
        done = _settled(receiver).since(before)
        run = Run(sent, took, done, receiver.process.cpu_seconds() - cpu_before)
    _check(run)
    return run


@contextmanager
def _sender(port: int, load: Load, seconds: float) -> Iterator[Callable[[], tuple[Counts, float]]]:
    """Yield what sends the load, once, and returns what was sent in how many seconds."""
    mix = load.mix
    command = [sys.executable, "-m", "benchmarks.loadgen", f"127.0.0.1:{port}", "--wait"]
    command += ["--shape", mix.shape, "--names", str(mix.names), *["--tagged"] * mix.tagged]
    command += ["--whole"] * load.whole
    command += ["--sockets", str(load.sockets), "--seconds", str(seconds)]
    command += ["--cpus", ",".join(map(str, load.cpus))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:

        def send() -> tuple[Counts, float]:
            output, _ = process.communicate("\n")
            if process.returncode:
                raise BenchmarkError("cannot send the load: the load generator says why above")
            sent = json.loads(output)
            return Counts(sent["datagrams"], sent["lines"]), sent["seconds"]

        if process.stdout is None or not process.stdout.readline():
            raise BenchmarkError("cannot send the load: the load generator says why above")
        try:
            yield send
        finally:
            process.kill()


def _settled(receiver: Receiver) -> Counts:
    """Return the counts once they stand still: what is in the receive buffer counts too."""
    counts = receiver.counts()
    while True:
        time.sleep(0.2)
        now = receiver.counts()
        if now == counts:
            return now
        counts = now


def _check(run: Run) -> None:
    """Refuse numbers that cannot be true."""
    sent, done = run.sent, run.done
    if done.refused:
        raise BenchmarkError(f"cannot trust the run: {done.refused} lines were not understood")
    if not done.datagrams or done.datagrams > sent.datagrams:
        raise BenchmarkError(f"cannot trust the run: sent {sent}, processed {done}")
    expected = sent.lines / sent.datagrams
    # The receiver that only receives counts no lines.
    if done.lines and abs(done.lines / done.datagrams / expected - 1) > 0.02:
        raise BenchmarkError(f"cannot trust the run: lines are missing from {done}")
