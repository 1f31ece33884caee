"""Run a foreign client against a real listener and engine, and tell what was understood.

The clients are programs of their own under `senders/`: each gets the listener's address as its
only argument, sends a fixed traffic through the client's public API, closes it and ends.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from vitald.aggregator.listener import Listener
from vitald.aggregator.python_engine import PythonEngine
from vitald.aggregator.selector import Selector
from vitald.aggregator.sockets import Address
from vitald.clock import Instant
from vitald.wire.dialect import DEFAULT_DIALECT

if TYPE_CHECKING:
    from vitald.aggregator.interval import Ledger
    from vitald.metric import Event, ServiceCheck

SENDERS = Path(__file__).parent / "senders"
NPM_LOCK = Path(__file__).parent / "npm" / "package-lock.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
NPM_HOME = CACHE / "vitald" / "foreign-clients"

# Longer than any sender runs, so that a timestamp of now is always in the open slot.
INTERVAL = 600.0

INTERPRETERS = {".py": "/usr/bin/python3", ".pl": "perl", ".rb": "ruby", ".js": "node"}


class Heard(NamedTuple):
    """What one client's traffic became; `metrics` maps `name{tag=value}` to `facts_of` its row."""

    metrics: dict[str, tuple]
    events: list[Event]
    service_checks: list[ServiceCheck]
    ledger: Ledger


def facts_of(row):
    """Return the type and what must be exact about it; quantiles are estimates."""
    kind = row.type.value
    if kind == "counter":
        return (kind, row.sum)
    if kind == "gauge":
        return (kind, row.last)
    if kind == "set":
        return (kind, row.unique)
    return (kind, row.count, row.sum, row.min, row.max)


def title_of(row):
    tags = ",".join(f"{key}={value}" if value else key for key, value in row.tags)
    return f"{row.name}{{{tags}}}" if tags else row.name


def address(scheme, folder):
    if scheme in {"udp", "tcp"}:
        return Address(scheme, "127.0.0.1")
    if scheme == "udp6":
        return Address("udp", "::1")
    return Address(scheme, path=str(folder / "listener.sock"))


@pytest.fixture
def hear(tmp_path):
    """Run a sender against one listener; all of the `lines` that it sends must be understood."""

    async def run(command, *, lines, scheme="udp", dialect=DEFAULT_DIALECT, environment=None):
        now = Instant(time.time() // 1, time.monotonic())
        loop = asyncio.get_running_loop()
        engine = PythonEngine(
            now,
            interval=INTERVAL,
            windows=[INTERVAL],
            add_reader=loop.add_reader,
            remove_reader=loop.remove_reader,
        )
        listener = Listener(address(scheme, tmp_path), engine, dialect=dialect)
        await listener.start()
        try:
            await run_sender(command, str(listener.address), environment)
            await arrival(engine, lines)
        finally:
            await listener.stop()
        heard = heard_by(engine, now)
        assert_all_understood(heard.ledger, lines)
        return heard

    return run


async def arrival(engine, lines):
    """Wait for what is under way; gives up quietly, since the comparison says what is missing."""
    deadline = time.monotonic() + 5.0
    while engine.ledger().lines < lines:
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.005)


def heard_by(engine, now):
    interval = engine.rotate(Instant(now.wall + INTERVAL, now.monotonic + INTERVAL))
    answer = engine.query(Selector(), INTERVAL)
    rows = [row for batch in answer.rows() for row in batch]
    metrics = {title_of(row): facts_of(row) for row in rows}
    assert len(metrics) == len(rows), "two types share a name: this traffic cannot be told apart"
    return Heard(metrics, list(interval.events), list(interval.service_checks), engine.ledger())


async def run_sender(command, target, environment=None):
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        target,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, output.decode(errors="replace")


def assert_all_understood(ledger, lines):
    assert (ledger.rejected, ledger.shed, ledger.last_rejected) == ({}, {}, [])
    assert ledger.aggregated == ledger.lines == lines
    assert not ledger.kernel_dropped


def missing(name, proof):
    """Skip, naming what is missing; fail where CI says that everything is there."""
    if proof:
        return
    message = f"{name} is not installed (scripts/install-foreign-clients)"
    if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def sender(request):
    """The command of a sender; the `server` mark of the test names what must be installed."""

    def command(file):
        path = SENDERS / file
        interpreter = INTERPRETERS[path.suffix]
        missing(interpreter, shutil.which(interpreter))
        return [interpreter, path]

    return command


@pytest.fixture
def own_python():
    """The command of a sender that runs in the tests' own environment."""
    return lambda file: [sys.executable, SENDERS / file]


@pytest.fixture
def debian():
    """Check that a Debian package's file is there."""
    return lambda package, file: missing(package, Path(file).exists())


@pytest.fixture
def npm():
    """The environment in which Node finds the locked clients."""
    lock = NPM_HOME / "package-lock.json"
    is_there = lock.exists() and lock.read_bytes() == NPM_LOCK.read_bytes()
    missing("npm's clients", is_there and (NPM_HOME / "node_modules").exists())
    return {"NODE_PATH": str(NPM_HOME / "node_modules")}
