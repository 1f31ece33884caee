"""`make bench`, or `python -m benchmarks [TOPIC…]`: print a table per topic.

`native` stands for the topics that the native engine's goals are about; `--quick` shows within a
minute that those work, with numbers that mean nothing.

Nothing here passes or fails: numbers depend on the machine. Exit code 1 means that a topic could
not be measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import (
    command_line,
    effort,
    engine,
    idle,
    machine,
    memory,
    million,
    receiving,
    series_memory,
    throughput,
)
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.tables import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.tables import Report

TOPICS: dict[str, Callable[[], Iterable[Report]]] = {
    "throughput": throughput.reports,
    "command-line": command_line.reports,
    "memory": memory.reports,
    "engine": engine.reports,
}
NATIVE = "native"
NATIVE_TOPICS: dict[str, Callable[[effort.Effort], Iterable[Report]]] = {
    "receiving": receiving.reports,
    "million": million.reports,
    "series-memory": series_memory.reports,
    "idle": idle.reports,
}
# A script of its own, which others run by itself.
CLIENT = "client"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    everything = [*TOPICS, *NATIVE_TOPICS, CLIENT]
    parser.add_argument(
        "topics", metavar="TOPIC", nargs="*", help=f"of {', '.join([NATIVE, *everything])}"
    )
    parser.add_argument("--quick", action="store_true", help="see that native topics work")
    options = parser.parse_args()
    wanted = [
        topic
        for asked in options.topics or everything
        for topic in (NATIVE_TOPICS if asked == NATIVE else [asked])
    ]
    unknown = [topic for topic in wanted if topic not in everything]
    if unknown:
        parser.error(f"no such topic: {', '.join(unknown)}")
    how_long = effort.QUICK if options.quick else effort.FULL
    print(f"vitald benchmarks, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    print("\n".join(machine.description()), flush=True)
    failures = [topic for topic in wanted if not _show(topic, how_long)]
    return int(bool(failures))


def _show(topic: str, how_long: effort.Effort) -> bool:
    if topic == CLIENT:
        print("\n\nClient: what a call costs the service\n", flush=True)
        command = [sys.executable, str(ROOT / "benchmarks/client_latency.py")]
        return subprocess.run(command, check=False).returncode == 0
    try:
        native = NATIVE_TOPICS.get(topic)
        for report in native(how_long) if native else TOPICS[topic]():
            print(f"\n\n{render(report)}", flush=True)
    except BenchmarkError as error:
        print(f"\n\n{topic}: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
