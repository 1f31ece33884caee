"""`make bench`, or `python -m benchmarks [TOPIC…]`: print a table per topic.

Nothing here passes or fails: numbers depend on the machine. Exit code 1 means that a topic could
not be measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from benchmarks import command_line, engine, machine, memory, throughput
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.tables import render

TOPICS = {
    "throughput": throughput.reports,
    "command-line": command_line.reports,
    "memory": memory.reports,
    "engine": engine.reports,
}
# A script of its own, which others run by itself.
CLIENT = "client"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "topics", metavar="TOPIC", nargs="*", help=f"of {', '.join([*TOPICS, CLIENT])}"
    )
    wanted = parser.parse_args().topics or [*TOPICS, CLIENT]
    unknown = [topic for topic in wanted if topic not in {*TOPICS, CLIENT}]
    if unknown:
        parser.error(f"no such topic: {', '.join(unknown)}")
    print(f"vitald benchmarks, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    print("\n".join(machine.description()), flush=True)
    failures = [topic for topic in wanted if not _show(topic)]
    return int(bool(failures))


def _show(topic: str) -> bool:
    if topic == CLIENT:
        print("\n\nClient: what a call costs the service\n", flush=True)
        command = [sys.executable, str(ROOT / "benchmarks/client_latency.py")]
        return subprocess.run(command, check=False).returncode == 0
    try:
        for report in TOPICS[topic]():
            print(f"\n\n{render(report)}", flush=True)
    except BenchmarkError as error:
        print(f"\n\n{topic}: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
