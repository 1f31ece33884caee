"""Logging: a handler that counts records.

    log_records_total{level,logger}

Every name of a logger is a series for each level it uses. Names made up at run time, one for each
connection say, end at the client's limit of series; put the handler on a parent that does not hear
them, or filter them out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vitald.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

# Counters are bound once; names made up at run time must not pile up.
_HANDLE_LIMIT = 1000


class MetricsHandler(logging.Handler):
    """Counts the records that reach it, by level and logger.

    It formats nothing, takes no lock and logs nothing, so it may stand anywhere, on the root too.
    Without `client` one is made from the environment.
    """

    def __init__(self, client: Client | None = None, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._client = Client() if client is None else client
        self._counters: dict[tuple[str, int], Callable[[], None]] = {}

    def createLock(self) -> None:  # noqa: N802  the base class named it
        """Have no lock: a record may come from a signal handler above another of this thread."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Count the record if the filters let it pass; return whether they did."""
        passed: Any = self.filter(record)  # since Python 3.12 they may return another record
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record."""
        try:
            try:
                count = self._counters[record.name, record.levelno]
            except KeyError:
                count = self._bind(record.name, record.levelno)
            count()
        except Exception:  # a record made by hand may hold anything
            self.handleError(record)

    def _bind(self, name: str, level: int) -> Callable[[], None]:
        # By number: formatters that colour replace a record's `levelname`.
        tags = {"level": logging.getLevelName(level).lower(), "logger": name}
        count = self._client.counter("log_records_total", tags=tags).inc
        if len(self._counters) >= _HANDLE_LIMIT:
            self._counters.clear()
        self._counters[name, level] = count
        return count
