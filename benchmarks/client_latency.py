"""What a call into the client costs the service that makes it.

Every call is timed on its own (`perf_counter_ns` around it, in a loop without pauses), against a
receiver that reads, one that is stopped (SIGSTOP), and none. Each row is the best of three rounds
(by p99.99), as other work on the machine only adds. `statsd`, which sends in the call, is measured
beside it. "no call" spins for about a microsecond instead: what it shows is the machine's own
noise. Then the cost of importing, in fresh processes.

    python benchmarks/client_latency.py [--calls 100000]
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import statsd

from vitald import Client
from vitald.client.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    sock.recv(65536)
"""

IMPORT = """
import sys, time
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4
before = rss()
start = time.perf_counter()
{statement}
print((time.perf_counter() - start) * 1000.0, rss() - before)
"""

ROUNDS = 3

IMPORTS = (
    "import statsd",
    "import vitald.client",
    "from vitald.client import StatsClient",
)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--calls", type=int, default=100_000, help="timed calls a round")
    options.add_argument("--processes", type=int, default=15, help="fresh processes an import")
    arguments = options.parse_args()
    print(f"machine   {cpu_model()}, {os.cpu_count()} cores, {platform.system()}")
    print(f"python    {platform.python_version()}")
    print(
        f"method    best of {ROUNDS} rounds of {arguments.calls} calls, each timed alone;"
        " one thread, no pauses"
    )
    for state in ("up", "stopped", "absent"):
        with receiver(state) as (port, kind):
            print(f"\nreceiver {state}: {kind}")
            measure_all(port, arguments.calls)
    print(f"\nimport, median of {arguments.processes} fresh processes each")
    for statement, milliseconds, kilobytes in import_costs(arguments.processes):
        print(f"  {statement:40} {milliseconds:6.1f} ms {kilobytes:7.0f} KiB RSS")


def cpu_model() -> str:
    """Return what the processor calls itself."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@contextmanager
def receiver(state: str) -> Iterator[tuple[int, str]]:
    """Yield a UDP port in the given state, and what it is."""
    port = free_port()
    if state == "absent":
        yield port, "nobody bound the port"
        return
    with tempfile.TemporaryDirectory() as folder:
        process, kind = start_sidecar(port, Path(folder))
        if process is None:
            process, kind = start_reader(port), "a process that reads and forgets"
        try:
            if state == "stopped":
                process.send_signal(signal.SIGSTOP)
            yield port, kind
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def start_sidecar(port: int, folder: Path) -> tuple[subprocess.Popen[bytes] | None, str]:
    """Start a real sidecar without checks, None when this checkout has none yet."""
    config = folder / "vitald.yaml"
    config.write_text(f"listen: [udp://127.0.0.1:{port}]\nchecks: {{}}\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "vitald", "run", "-c", str(config)],
        env={**os.environ, "VITALD_SOCKET": str(folder / "control.sock")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if is_listening(port, process):
        return process, "vitald run"
    process.terminate()
    process.wait()
    return None, ""


def start_reader(port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", READER, str(port)])
    if not is_listening(port, process):
        sys.exit("cannot start a UDP reader: it does not answer")
    return process


def is_listening(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the port is bound; False when the process ends first, or after 15 s."""
    deadline = time.monotonic() + 15.0
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", port))
            probe.send(b"")
            if not probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return True
        time.sleep(0.05)
    return False


def measure_all(port: int, calls: int) -> None:
    print(f"  {'call':34}{'p50':>9}{'p99':>9}{'p99.99':>10}{'max':>10}  µs")
    row("no call   (spin)", lambda: sum(range(50)), calls)
    baseline = statsd.StatsClient("127.0.0.1", port)
    row("statsd    incr(name)", lambda: baseline.incr("jobs"), calls)
    row("statsd    timing(name, ms)", lambda: baseline.timing("render", 1.25), calls)
    baseline.close()
    with Client(f"udp://127.0.0.1:{port}") as client:
        operations = Operations(client)
        tags = {"queue": "mail", "region": "eu"}
        counter, timer = client.counter("jobs", queue="mail"), client.timer("handle")

        def block() -> None:
            with timer:
                pass

        def named_block() -> None:
            with client.timer("render"):
                pass

        def task() -> None:
            with operations.task("send_mail"):
                pass

        row("vitald    counter.inc()", counter.inc, calls)
        row("vitald    incr(name)", lambda: client.incr("jobs"), calls)
        row("vitald    incr(name, tags={2})", lambda: client.incr("jobs", tags=tags), calls)
        row("vitald    gauge(name, value)", lambda: client.gauge("depth", 7), calls)
        row("vitald    set(name, member)", lambda: client.set("users", "u1"), calls)
        row("vitald    timing(name, ms)", lambda: client.timing("render", 1.25), calls)
        row("vitald    with timer", block, calls)
        row("vitald    with client.timer(name)", named_block, calls)
        row("vitald    with operations.task(…)", task, calls)
        client.close()
        stats = client.stats()
    values = stats["sent"] + sum(stats["dropped"].values())
    print(f"  of {values} values the kernel took {stats['sent']}; dropped: {stats['dropped']}")


def row(label: str, call: Callable[[], object], calls: int) -> None:
    """Time `calls` calls, and again, and print the quantiles of the best round."""
    rounds = (time_calls(call, calls) for _ in range(ROUNDS))
    best = min(rounds, key=lambda ordered: ordered[int(calls * 0.9999)])
    p50, p99, p9999 = (best[int(calls * share)] / 1e3 for share in (0.5, 0.99, 0.9999))
    mark = "" if p9999 <= 1000.0 else "  over 1 ms"
    print(f"  {label:34}{p50:9.2f}{p99:9.2f}{p9999:10.1f}{best[-1] / 1e3:10.1f}{mark}")


def time_calls(call: Callable[[], object], calls: int) -> list[int]:
    """Return how long each call took, in nanoseconds, ascending."""
    clock = time.perf_counter_ns
    times = array("q", bytes(8 * calls))
    for index in range(calls):
        start = clock()
        call()
        times[index] = clock() - start
    return sorted(times)


def import_costs(processes: int) -> Iterator[tuple[str, float, float]]:
    """Yield each import with its median milliseconds and KiB of resident memory."""
    results: dict[str, list[list[float]]] = {statement: [] for statement in IMPORTS}
    for _ in range(processes):  # in turn, so that a busy moment of the machine meets all
        for statement in IMPORTS:
            script = IMPORT.format(statement=statement)
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, check=True, text=True
            )
            results[statement].append([float(part) for part in done.stdout.split()])
    for statement, measured in results.items():
        times, sizes = zip(*measured, strict=True)
        yield statement, statistics.median(times), statistics.median(sizes)


if __name__ == "__main__":
    main()
