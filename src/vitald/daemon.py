"""The sidecar: the one place where everything is built, started, reloaded and stopped.

Order of life: the control socket first, because it is the lock that refuses a second sidecar; then
listeners, forwarders, checks, the tick. It ends the other way round: what the kernel still holds
is taken, the last interval is sealed and delivered, and no socket file is left.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from vitald import __version__
from vitald.aggregator.api import Api
from vitald.aggregator.available import Available
from vitald.aggregator.claims import Claims
from vitald.aggregator.dashboard import Dashboard
from vitald.aggregator.engines import choose
from vitald.aggregator.events import EventLog
from vitald.aggregator.flusher import Flusher
from vitald.aggregator.forwarders.dispatcher import Dispatcher
from vitald.checks.readings import Performance
from vitald.checks.scheduler import Scheduler
from vitald.clock import Clock, SystemClock
from vitald.config import load as loading
from vitald.config.model import Config, changes
from vitald.config.paths import control_socket
from vitald.errors import StartError, VitaldError
from vitald.wiring import (
    OBSERVATION_DIALECT,
    build_forwarder,
    listener_of,
    observation_lines,
    queue_of,
    series_of,
    specs_of,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from vitald.aggregator.forwarders.base import Forwarder
    from vitald.aggregator.interval import Interval
    from vitald.aggregator.listener import Listener
    from vitald.checks.base import Observation
    from vitald.checks.spec import CheckSpec
    from vitald.checks.state import Transition
    from vitald.config.load import Loaded
    from vitald.config.model import ForwarderEntry
    from vitald.metric import SeriesKey

log = logging.getLogger("vitald")

# Sealed intervals that may wait to be added to the cumulative counters of the scrape page.
_OBSERVE_AHEAD = 100
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(config_path: Path | None, socket: Path | None) -> int:
    """Run a sidecar until SIGTERM or SIGINT; return the exit code.

    It is 70 when the sidecar stopped because a part of it had failed.
    Raises ConfigError or StartError, with nothing left bound, when it cannot start.
    """
    loaded = loading.load(config_path)
    _log_to_stderr(loaded.config.log_level)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return asyncio.run(_serve(loaded, socket))


async def _serve(loaded: Loaded, socket: Path | None) -> int:
    sidecar = Sidecar(loaded, socket=socket)
    _collect_rarely()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, sidecar.reload_soon)
    await sidecar.start()
    try:
        await stop.wait()
    finally:
        try:
            await sidecar.stop()
        except Exception:
            log.critical("cannot stop in order", exc_info=True)
            sidecar.failed.append("stop")
        # The event loop gives its signals back when it closes; one that comes after that would kill
        # a process which has ended well.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, *_STOP_SIGNALS})
    code = VitaldError.exit_code if sidecar.failed else 0
    if sidecar.hung:
        # A run that refuses to be cancelled would keep the event loop, and so the process, alive.
        log.warning("leaving behind what hangs: %s", ", ".join(sidecar.hung))
        logging.shutdown()
        os._exit(code)
    return code


class Sidecar:
    """Everything that `Config` names, built but not started."""

    def __init__(
        self, loaded: Loaded, *, socket: Path | None = None, clock: Clock | None = None
    ) -> None:
        config = loaded.config
        self.config = config
        self._path = loaded.path
        self._clock = clock or SystemClock()
        self._socket = control_socket(str(socket) if socket else None, config.control_socket)
        now = self._clock.now()
        loop = asyncio.get_running_loop()
        self._chosen = choose(config.engine)
        self.engine = self._chosen.build(
            now,
            interval=config.interval,
            windows=config.windows,
            series_limit=config.limits.series,
            series_expiry=config.series_expiry,
            set_exact_limit=config.set_exact_limit,
            histogram_scale=config.histogram_scale,
            add_reader=loop.add_reader,
            remove_reader=loop.remove_reader,
        )
        # Gauges that a check cannot read at present.
        self._unavailable: set[SeriesKey] = set()
        self.claims = Claims(now.wall, interval=config.interval)
        self.events = EventLog(self._clock)
        self.dispatcher = Dispatcher(clock=self._clock)
        self.scheduler = Scheduler(
            specs_of(config),
            clock=self._clock,
            emit=self._emit,
            on_transition=self._on_transition,
        )
        self.dashboard = Dashboard(
            Available(self.engine, lambda: self._unavailable),
            clock=self._clock,
            host=config.host,
            version=__version__,
            started=now,
            interval=config.interval,
            health=self.scheduler.reports,
            performance=Performance(self._clock).document,
            engine_reason=self._chosen.reason,
            claims=self.claims,
            events=self.events,
            forwarders=self.dispatcher.statistics,
            ledger_extra=self._ledger_extra,
            ready=self._not_ready,
            series_limit=config.limits.series,
            series_expiry=config.series_expiry,
            longest_window=max(config.windows),
        )
        self.api = Api(
            self.dashboard,
            run_check=self.scheduler.run_now,
            reload=self.reload,
            hosts=config.http_hosts,
        )
        self.flusher = Flusher(
            self.engine, self._deliver, interval=config.interval, clock=self._clock
        )
        self.listeners: list[Listener] = []
        self._to_observe: asyncio.Queue[Interval] = asyncio.Queue(_OBSERVE_AHEAD)
        self._stack = AsyncExitStack()
        self._reloads: set[asyncio.Task[None]] = set()
        self._is_started = False
        self._is_stopping = False
        # Start, reloads (SIGHUP, API) and stop: one at a time.
        self._changing = asyncio.Lock()
        # Checks with a run that could not be ended; known after `stop`.
        self.hung: list[str] = []
        # Parts of the sidecar that died; the first one stops it.
        self.failed: list[str] = []

    async def start(self) -> None:
        """Start everything, or nothing: raises StartError with nothing left bound."""
        async with self._changing:
            try:
                await self._start()
            except BaseException:
                await self._stack.aclose()
                raise
        self._is_started = True
        self.events.add("sidecar", f"vitald {__version__} started")
        log.info("engine %s", self._chosen)
        for listener in self.listeners:
            log.info("listening on %s", listener.address)
        log.info("control socket %s", self._socket)

    async def _start(self) -> None:
        config, stack = self.config, self._stack
        await self.api.start(self._socket)
        stack.push_async_callback(self.api.stop)
        if config.http is not None:
            host, port = await self.api.listen(config.http.host, config.http.port)
            log.info("answering on http://%s:%d", host, port)
        stack.push_async_callback(self.dispatcher.stop, config.shutdown_timeout)
        for entry in config.forward:
            self._add(entry, build_forwarder(entry, config))
        self._run_until_stop("observer", self._observe())
        for listen in config.listen:
            listener = listener_of(listen, config, self.engine)
            self.listeners.append(listener)
            stack.callback(listener.close)
        stack.push_async_callback(self._flush_at_last)
        for listener in self.listeners:
            await listener.start()
            stack.push_async_callback(listener.stop)
        self._run_until_stop("flusher", self.flusher.run())
        self.scheduler.start()
        stack.push_async_callback(self._stop_checks)

    async def stop(self) -> None:
        """Stop in the opposite order; what was received is sealed and delivered.

        A reload that is under way is let finish: half of one would leave parts that nobody stops.
        """
        self._is_started = False
        self._is_stopping = True
        self.events.add("sidecar", "vitald is stopping")
        try:
            await asyncio.wait_for(self._changing.acquire(), self.config.shutdown_timeout)
        except asyncio.TimeoutError:
            self.hung.append("reload")
        await self._stack.aclose()

    # Reloading

    def reload_soon(self) -> None:
        """Reload, and log what came of it: the answer to SIGHUP."""
        task = asyncio.ensure_future(self._reload_and_log())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_and_log(self) -> None:
        with suppress(VitaldError):
            await self.reload()

    async def reload(self) -> Sequence[str]:
        """Read the file again and apply it; return what changed, a phrase each.

        Raises ConfigError or StartError and changes nothing when the file is bad. Of several at a
        time each reads the file when it is its turn, so that the last one leaves what it says then.
        """
        try:
            async with self._changing:
                if self._is_stopping:
                    raise StartError("cannot reload: the sidecar is stopping")
                loaded = await asyncio.to_thread(loading.load, self._path)
                changed = await self._apply(loaded.config)
        except VitaldError as error:
            log.error("cannot reload: nothing was changed:\n%s", error)
            self.events.add("reload", "reload failed, nothing was changed", str(error))
            raise
        log.info("reloaded: %s", ", ".join(changed) or "nothing changed")
        self.events.add("reload", "configuration reloaded", ", ".join(changed))
        return changed

    async def _apply(self, config: Config) -> list[str]:
        before = self.config
        changed = changes(before, config)
        fresh = [entry for entry in config.forward if entry not in before.forward]
        # Built before anything is touched: a forwarder that cannot be built changes nothing.
        built = [(entry, build_forwarder(entry, config)) for entry in fresh]
        await self.scheduler.apply(specs_of(config))
        self._unavailable.clear()  # the next run of each check says again what it cannot read
        for entry in before.forward:
            if entry not in config.forward:
                await self.dispatcher.remove(entry.name, config.shutdown_timeout)
        for entry, forwarder in built:
            self._add(entry, forwarder)
        logging.getLogger().setLevel(config.log_level.upper())
        self.config = config
        return [
            *changed.applied,
            *(f"{key} (takes effect after a restart)" for key in changed.need_restart),
        ]

    def _add(self, entry: ForwarderEntry, forwarder: Forwarder) -> None:
        self.dispatcher.add(entry.name, entry.type, forwarder, **queue_of(entry.options))

    # What flows between the parts

    def _deliver(self, interval: Interval) -> None:
        self.claims.observe(self.engine, interval.end)
        self.dispatcher.submit(interval)
        try:
            self._to_observe.put_nowait(interval)
        except asyncio.QueueFull:
            log.error("cannot add an interval to the scrape page: the event loop is held up")

    async def _observe(self) -> None:
        while True:
            interval = await self._to_observe.get()
            await self.dashboard.observe(interval)
            self._to_observe.task_done()

    def _emit(
        self, observations: Sequence[Observation], durations: Sequence[tuple[str, float]]
    ) -> None:
        for each in observations:
            key = series_of(each)
            self._unavailable.discard(key)
            if each.value is None:
                self._unavailable.add(key)
        self.engine.ingest(observation_lines(observations, durations), dialect=OBSERVATION_DIALECT)

    def _on_transition(self, spec: CheckSpec, transition: Transition) -> None:
        self.events.add_transition(spec.name, transition)

    def _ledger_extra(self) -> dict[str, int]:
        refused = sum(listener.refused_connections for listener in self.listeners)
        return {"refused_connections": refused}

    def _not_ready(self) -> Sequence[str]:
        return () if self._is_started else ("the sidecar is starting or stopping",)

    # Stopping

    def _run_until_stop(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._die_with)

        async def cancel() -> None:
            task.cancel()
            await asyncio.wait({task})

        self._stack.push_async_callback(cancel)

    async def _flush_at_last(self) -> None:
        if not await self.flusher.finish(self.config.shutdown_timeout):
            self.hung.append("flusher")

    async def _stop_checks(self) -> None:
        self.hung += await self.scheduler.stop()

    def _die_with(self, task: asyncio.Task[None]) -> None:
        """Stop the sidecar when one of its own tasks has died: it must not look alive."""
        if not task.cancelled() and task.exception() is not None:
            log.critical("cannot go on: %s failed", task.get_name(), exc_info=task.exception())
            self.failed.append(task.get_name())
            signal.raise_signal(signal.SIGTERM)


def _collect_rarely() -> None:
    """Keep the garbage collector from holding the event loop.

    A full collection walks every sealed cell, half a second at 50,000 series, to find next to
    nothing: the engine makes no cycles. What others make is collected in the younger generations.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 500)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
