"""The sample service: a job queue over SQLite, instrumented with the client.

    python -m vitald.demo.service DATABASE [--seconds N | --tasks N] [--seed N] [--hold]

Its work is real (rows, transactions, an exclusive lock on the file) and so are its counts: when it
is done it prints them as one line of JSON, to be compared with what the sidecar counted. With
--hold it then keeps its connections open until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from vitald import Client
from vitald.client.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KINDS = ("send_mail", "resize_image", "charge_card")
WORKERS = 3


class JobFailedError(Exception):
    """One job went wrong, as jobs do."""


class Service:
    """Works through jobs; `did` counts what really happened."""

    def __init__(self, database: str, operations: Operations, seed: int) -> None:
        self.did: Counter[str] = Counter()
        self._operations = operations
        self._random = random.Random(seed)
        self._deadline = 0.0
        # Each worker holds a connection: the handles that the database check counts.
        self._connections = [_connect(database) for _ in range(WORKERS)]
        with closing(_connect(database)) as setup:
            setup.execute("CREATE TABLE IF NOT EXISTS jobs (kind TEXT, state TEXT, at REAL)")

    async def work(self, *, tasks: int, seconds: float) -> None:
        """Run jobs on all workers until `tasks` were started or `seconds` are over."""
        self._deadline = time.monotonic() + seconds
        budget = iter(range(tasks))
        await asyncio.gather(
            *(self._worker(connection, budget) for connection in self._connections)
        )

    def stop(self) -> None:
        """Let every worker finish the job it is at, and start no other."""
        self._deadline = 0.0

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    async def _worker(self, connection: sqlite3.Connection, budget: Iterator[int]) -> None:
        while time.monotonic() < self._deadline and next(budget, None) is not None:
            kind = self._random.choice(KINDS)
            job = asyncio.ensure_future(self._job(connection, kind))
            if self._random.random() < 0.05:
                await asyncio.sleep(0)
                job.cancel()
            with suppress(JobFailedError, asyncio.CancelledError):
                await job

    async def _job(self, connection: sqlite3.Connection, kind: str) -> None:
        self.did["created"] += 1
        try:
            with self._operations.task(kind):
                await asyncio.sleep(self._random.expovariate(200))
                self._record(connection, kind)
                self._finish(kind)
                self.did["completed"] += 1
        except asyncio.CancelledError:
            self.did["cancelled"] += 1
            raise
        except JobFailedError:
            self.did["failed"] += 1
            raise
        finally:
            self.did["timed"] += 1
        with self._operations.hook("job_done"):
            self.did["hooks"] += 1

    def _finish(self, kind: str) -> None:
        if self._random.random() < 0.1:
            raise JobFailedError(kind)

    def _record(self, connection: sqlite3.Connection, kind: str) -> None:
        with self._operations.lock("jobs"):
            self.did["locks"] += 1
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO jobs VALUES (?, 'done', ?)", (kind, time.time()))
            connection.execute("COMMIT")
        self.did["unlocks"] += 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="vitald.demo.service", description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--tasks", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args(arguments)
    asyncio.run(_run(options))
    return 0


async def _run(options: argparse.Namespace) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    client = Client()
    service = Service(options.database, Operations(client), options.seed)
    work = asyncio.ensure_future(service.work(tasks=options.tasks, seconds=options.seconds))
    stop = asyncio.ensure_future(told.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    service.stop()
    await work
    client.close()
    print(json.dumps(service.did), flush=True)  # noqa: T201  its answer
    if options.hold:
        await stop
    service.close()
    stop.cancel()


def _connect(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=5.0)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


if __name__ == "__main__":
    raise SystemExit(main())
