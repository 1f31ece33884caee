"""`make bench`, or `python -m benchmarks [TOPIC…]`: print a table per topic.

`native` stands for the topics that the native engine's goals are about; `--quick` shows within a
minute that those or `client` work, with numbers that mean nothing.

Nothing here passes or fails: numbers depend on the machine. Exit code 1 means that a topic could
not be measured.
"""

from __future__ import annotations

import argparse
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
from benchmarks.client import topic as client
from benchmarks.processes import BenchmarkError
from benchmarks.tables import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.tables import Report


def _integrations() -> Iterable[Report]:
    try:
        from benchmarks import integrations
    except ImportError as error:
        raise BenchmarkError(
            f"cannot measure the integrations: {error} (make test installs it)"
        ) from error
    return integrations.reports()


TOPICS: dict[str, Callable[[], Iterable[Report]]] = {
    "throughput": throughput.reports,
    "command-line": command_line.reports,
    "memory": memory.reports,
    "engine": engine.reports,
    "integrations": _integrations,
}
NATIVE = "native"
NATIVE_TOPICS: dict[str, Callable[[effort.Effort], Iterable[Report]]] = {
    "receiving": receiving.reports,
    "million": million.reports,
    "series-memory": series_memory.reports,
    "idle": idle.reports,
}
# Those that can be quick.
SCALED_TOPICS = {**NATIVE_TOPICS, "client": client.reports}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    everything = [*TOPICS, *SCALED_TOPICS]
    parser.add_argument(
        "topics", metavar="TOPIC", nargs="*", help=f"of {', '.join([NATIVE, *everything])}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="see that native topics and client work"
    )
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
    try:
        scaled = SCALED_TOPICS.get(topic)
        for report in scaled(how_long) if scaled else TOPICS[topic]():
            print(f"\n\n{render(report)}", flush=True)
    except BenchmarkError as error:
        print(f"\n\n{topic}: {error}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
