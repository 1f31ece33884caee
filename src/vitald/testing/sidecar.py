"""A real aggregator in this process, for tests that look at what a service's metrics come to."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitald.aggregator.engines import choose
from vitald.aggregator.selector import Selector
from vitald.aggregator.sockets import Address, bind
from vitald.aggregator.windows import DEFAULT_WINDOWS
from vitald.client.client import Client
from vitald.clock import Instant
from vitald.testing.arguments import arguments
from vitald.testing.matchers import tags_text
from vitald.testing.metrics import listed, metric_of
from vitald.testing.pump import Pump
from vitald.testing.records import METRIC_TYPES, check_type
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from vitald.aggregator.engine import Engine
    from vitald.aggregator.engines import Choice
    from vitald.aggregator.interval import Interval, Ledger
    from vitald.metric import Event, ServiceCheck
    from vitald.testing.arguments import ClientOptions
    from vitald.testing.matchers import TagsWanted
    from vitald.testing.metrics import Metric

# An hour's beginning, so that every roll-up of the first hour is whole.
START = 1_700_002_800.0

# `sockaddr_un.sun_path` holds 108 bytes, its end and the file's name included.
_MOST_DIRECTORY = 90


class ManualClock:
    """A clock that stands still until it is moved; `wall` is in Unix seconds."""

    def __init__(self, wall: float = START) -> None:
        self._now = Instant(wall, 0.0)

    def now(self) -> Instant:
        """Return the current instant."""
        return self._now

    def advance(self, seconds: float) -> Instant:
        """Move on, and return the instant that was reached."""
        wall, monotonic = self._now
        self._now = Instant(wall + seconds, monotonic + seconds)
        return self._now


class Sidecar:
    """Receives on a UDP port that the kernel chose and on a Unix datagram socket.

    Time stands still: `rotate` ends the open slot one `interval` (seconds) later, and only then is
    what arrived in it part of an answer. `engine` is auto, python or native; `options` are the
    engine's (`series_limit`, `series_expiry`, `set_exact_limit`, `histogram_scale`).
    """

    def __init__(
        self,
        *,
        engine: Choice = "auto",
        clock: ManualClock | None = None,
        interval: float = 10.0,
        windows: Sequence[float] = DEFAULT_WINDOWS,
        dialect: Dialect = DEFAULT_DIALECT,
        **options: Any,
    ) -> None:
        self.clock = clock or ManualClock()
        self.interval = interval
        # What arrived up to the last `rotate`.
        self.events: list[Event] = []
        self.service_checks: list[ServiceCheck] = []
        self._dialect = dialect
        self._clients: list[Client] = []
        self._process = os.getpid()
        self._sealed_lines = 0
        self._is_closed = False
        self._pump = Pump()
        self._engine = _build(
            engine, self.clock, self._pump, interval=interval, windows=windows, **options
        )
        self.engine = self._engine.name
        self.host, self.port, self.path = "127.0.0.1", 0, ""
        self._socks: dict[str, socket.socket] = {}
        with ExitStack() as stack:
            stack.callback(self._pump.close)
            self._listen(stack)
            self._closing = stack.pop_all()

    @property
    def url(self) -> str:
        """Return the UDP address, as VITALD_URL takes it."""
        return f"udp://{self.host}:{self.port}"

    @property
    def unixgram_url(self) -> str:
        """Return the Unix socket's address, as VITALD_URL takes it."""
        return f"unixgram://{self.path}"

    # What goes in.

    def client(self, url: str | None = None, **options: Unpack[ClientOptions]) -> Client:
        """Return a new client that sends here, by the Unix socket where no `url` says otherwise.

        What it holds is sent before a slot ends, and it is closed with the sidecar.
        """
        client = Client(**arguments(url or self.unixgram_url, options))
        self._clients.append(client)
        return client

    def rotate(self, slots: int = 1) -> Interval:
        """End the open slot, and then more, each `interval` after the last; return the first.

        Everything that was sent before, by whom ever, is in that slot.
        """
        if slots < 1:
            raise ValueError(f"cannot end {slots} slots: the open one is the first")
        self._settle()
        self._sealed_lines = self._engine_ledger().lines
        intervals = [self._seal() for _ in range(slots)]
        return intervals[0]

    def wait_for(self, lines: int, *, timeout: float = 10.0) -> Ledger:
        """Wait until so many lines were received since the start, from threads or processes.

        Not needed for what was sent before `rotate` is called. AssertionError after `timeout`
        seconds.
        """
        __tracebackhide__ = True
        ledger = self.ledger()
        # By the pauses and not by a clock: a test may have frozen it.
        waited, pause = 0.0, 0.0005
        while ledger.lines < lines:
            if waited >= timeout:
                raise AssertionError(
                    f"expected {lines} lines, and received {ledger.lines} in {timeout:g} s"
                    f"{_faults(ledger)}"
                )
            time.sleep(pause)
            waited += pause
            pause = min(0.02, pause * 2)
            ledger = self._engine_ledger()
        return ledger

    # What comes out.

    def metric(
        self,
        name: str,
        *,
        window: float = 60.0,
        tags: TagsWanted = None,
        type: str | None = None,  # noqa: A002  the word of the field
    ) -> Metric:
        """Return the one series with this name and these tags over the last `window` seconds.

        AssertionError when there is none, and when there are several.
        """
        __tracebackhide__ = True
        check_type(type, METRIC_TYPES)
        known = self.metrics(window=window)
        found = [one for one in known if one.name == name and one.matches(tags, type)]
        if len(found) == 1:
            return found[0]
        wanted = f"{type or 'metric'} {name}{tags_text(tags)}"
        if found:
            raise AssertionError(f"expected one {wanted}, and found several:{listed(found)}")
        raise AssertionError(
            f"expected {wanted} over {window:g} s, and found{listed(known)}{self._hints()}"
        )

    def metrics(
        self,
        name: str = "*",
        *,
        window: float = 60.0,
        tags: TagsWanted = None,
        type: str | None = None,  # noqa: A002  the word of the field
    ) -> list[Metric]:
        """Return the series whose names match a shell glob, sorted by name and tags."""
        check_type(type, METRIC_TYPES)
        with self._pump.lock:
            answer = self._engine.query(Selector(names=[name]), window)
            rows = [row for batch in answer.rows() for row in batch]
        found = [metric_of(row, answer.seconds) for row in rows]
        wanted = [one for one in found if one.matches(tags, type)]
        return sorted(wanted, key=lambda one: (one.name, sorted(one.tags.items()), one.type))

    def ledger(self) -> Ledger:
        """Return where every line went that was sent before this call."""
        self._settle()
        return self._engine_ledger()

    # The sidecar itself.

    def close(self) -> None:
        """Close the clients, take what was sent, give the addresses back."""
        # A child of a fork that gets here must leave its parent's sidecar alone.
        if self._is_closed or os.getpid() != self._process:
            return
        self._is_closed = True
        for client in self._clients:
            client.close()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sidecar at {self.url}, engine {self.engine}>"

    def _listen(self, stack: ExitStack) -> None:
        """Bind both addresses and receive; `stack` undoes it."""
        directory = _short_directory()
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        self.path = str(directory / "statsd.sock")
        udp = stack.enter_context(bind(Address("udp", self.host)))
        unixgram = stack.enter_context(bind(Address("unixgram", path=self.path)))
        self.port = udp.getsockname()[1]
        self._socks = {self.url: udp, self.unixgram_url: unixgram}
        stack.callback(self._detach)
        self._attach()

    def _settle(self) -> None:
        """Have the engine take all that was sent: what clients hold, what the kernel holds."""
        for client in self._clients:
            if not client.flush() and client.stats()["waiting"]:
                raise AssertionError(f"cannot flush {client}: {client.stats()['error']}")
        if not self._is_closed:
            # Detaching a socket takes what has arrived; there is no other word for it.
            self._detach()
            self._attach()

    def _attach(self) -> None:
        with self._pump.lock:
            for url, sock in self._socks.items():
                self._engine.attach(sock, url, self._dialect)

    def _detach(self) -> None:
        with self._pump.lock:
            for sock in self._socks.values():
                self._engine.detach(sock)

    def _seal(self) -> Interval:
        with self._pump.lock:
            interval = self._engine.rotate(self.clock.advance(self.interval))
        self.events += interval.events
        self.service_checks += interval.service_checks
        return interval

    def _engine_ledger(self) -> Ledger:
        with self._pump.lock:
            return self._engine.ledger()

    def _hints(self) -> str:
        """Return what often is the cause when a metric is not there."""
        ledger = self.ledger()
        fresh = ledger.lines - self._sealed_lines
        hint = f"\n{fresh} lines arrived since the last rotate()" if fresh else ""
        return hint + _faults(ledger)


def _build(choice: Choice, clock: ManualClock, pump: Pump, **options: Any) -> Engine:
    # Who names an engine gets it, whatever the environment says.
    chosen = choose(choice, os.environ if choice == "auto" else {})
    return chosen.build(
        clock.now(), add_reader=pump.add_reader, remove_reader=pump.remove_reader, **options
    )


def _short_directory() -> Path:
    """Make a directory in which a Unix socket can be bound, however deep TMPDIR is."""
    made = tempfile.mkdtemp(prefix="vitald-")
    if len(os.fsencode(made)) > _MOST_DIRECTORY:
        Path(made).rmdir()
        made = tempfile.mkdtemp(prefix="vitald-", dir="/tmp")
    return Path(made)


def _faults(ledger: Ledger) -> str:
    """Return the lines that were refused, and datagrams that were lost."""
    text = "".join(
        f"\nrejected as {one['reason']}: {one['line']}" for one in ledger.last_rejected[:5]
    )
    if ledger.kernel_dropped:
        text += f"\nthe kernel dropped {ledger.kernel_dropped} datagrams: the queue was full"
    return text
