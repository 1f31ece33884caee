"""SQLAlchemy: queries by kind, their duration, errors, and the connections that are out.

    sql_queries_total{statement,engine}             executions, failed ones too
    sql_query_duration_seconds{statement,engine}    the driver's time for each
    sql_errors_total{statement,engine}              executions and connections that failed
    sql_pool_checked_out{engine}                    connections in use
    sql_pool_overflow{engine}                       of these, how many beyond the pool's size

`statement` is select, insert, update, delete or other; an error that belongs to no statement is
under `connect` when there was no connection and under `other` (a commit, say) when there was. No
text of a statement ever becomes a tag.
"""

from __future__ import annotations

import os
import re
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from vitald.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Engine, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

_KINDS = {kind: kind for kind in ("select", "insert", "update", "delete")}

# What may stand before the verb: comments, and the parentheses of a compound select.
_FIRST_WORD = re.compile(r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(\w+)", re.DOTALL)
_HEAD = 1000


class _Handles(NamedTuple):
    executed: Callable[[], None]
    took: Callable[[float], None]
    failed: Callable[[], None]


class Instrumentation:
    """What `instrument` listens to; `stop` ends it."""

    def __init__(self, engine: Engine, client: Client, name: str) -> None:
        self._handles = {
            kind: _Handles(
                client.counter("sql_queries_total", statement=kind, engine=name).inc,
                client.distribution(
                    "sql_query_duration_seconds", statement=kind, engine=name
                ).record,
                client.counter("sql_errors_total", statement=kind, engine=name).inc,
            )
            for kind in (*_KINDS, "other", "connect")
        }
        self._checked_out = client.gauge("sql_pool_checked_out", engine=name).set
        self._overflow = client.gauge("sql_pool_overflow", engine=name).set
        # Only this pool has a size that it may exceed.
        self._size = engine.pool.size() if isinstance(engine.pool, QueuePool) else None
        self._records: set[Any] = set()
        # An engine may be instrumented for several clients, which share its executions' contexts.
        self._started = sys.intern(f"vitald_started_{id(self)}")
        self._pid = os.getpid()
        self._listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (engine, "before_cursor_execute", self._on_start),
            (engine, "after_cursor_execute", self._on_end),
            (engine, "handle_error", self._on_error),
            (engine, "checkout", self._on_checkout),
            (engine, "checkin", self._on_return),
            (engine, "detach", self._on_return),
        ]
        for target, event_name, listener in self._listeners:
            event.listen(target, event_name, listener)

    def stop(self) -> None:
        """Count nothing from now on."""
        for target, event_name, listener in self._listeners:
            if event.contains(target, event_name, listener):
                event.remove(target, event_name, listener)

    # Queries. The start stands in the execution's context: it is gone with it.

    def _on_start(
        self, _conn: Any, _cursor: Any, _text: Any, _args: Any, context: Any, _: Any
    ) -> None:
        if context is not None:
            setattr(context, self._started, perf_counter_ns())

    def _on_end(
        self, _conn: Any, _cursor: Any, text: str, _args: Any, context: Any, _: Any
    ) -> None:
        started = getattr(context, self._started, None)
        if started is not None:
            setattr(context, self._started, None)
            handles = self._handles[_kind(text, context)]
            handles.executed()
            handles.took((perf_counter_ns() - started) / 1e9)

    def _on_error(self, failure: ExceptionContext) -> None:
        context, text = failure.execution_context, failure.statement
        if text is None:
            self._handles["connect" if failure.connection is None else "other"].failed()
            return
        handles = self._handles[_kind(text, context)]
        handles.failed()
        started = getattr(context, self._started, None)
        if started is not None:
            setattr(context, self._started, None)
            handles.executed()
            handles.took((perf_counter_ns() - started) / 1e9)

    # The pool. Its own count still has a connection that is just on its way back, and a pool that
    # replaces another begins at 0 while the other's connections are out.

    def _on_checkout(self, _connection: Any, record: Any, _proxy: Any) -> None:
        if self._pid != os.getpid():
            # A forked child must not use its parent's connections.
            self._pid = os.getpid()
            self._records.clear()
        self._records.add(record)
        self._set_gauges()

    def _on_return(self, _connection: Any, record: Any) -> None:
        self._records.discard(record)
        self._set_gauges()

    def _set_gauges(self) -> None:
        count = len(self._records)
        self._checked_out(count)
        if self._size is not None:
            self._overflow(max(0, count - self._size))


def instrument(
    engine: Engine | AsyncEngine, client: Client | None = None, *, name: str | None = None
) -> Instrumentation:
    """Count and time what goes through `engine`; call it once for each.

    `name` is the tag `engine`, by default the name of the dialect: give one where a service has
    several. Without `client` one is made from the environment.
    """
    sync_engine: Any = getattr(engine, "sync_engine", engine)
    return Instrumentation(
        sync_engine,
        Client() if client is None else client,
        sync_engine.dialect.name if name is None else name,
    )


def _kind(text: str, context: Any) -> str:
    """Return the kind of a statement; by its first word where that is enough, as nearly always."""
    kind = _KINDS.get(text[:6].lower())
    if kind is not None:
        return kind
    compiled = getattr(context, "compiled", None)
    statement = getattr(compiled, "statement", None)
    for candidate in _KINDS:
        if getattr(statement, f"is_{candidate}", False):
            return candidate
    match = _FIRST_WORD.match(text, 0, _HEAD)
    return _KINDS.get(match[1].lower(), "other") if match else "other"
