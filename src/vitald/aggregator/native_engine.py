"""The native engine: Rust threads receive and aggregate; this file only passes things on.

Importing it needs `vitald._native`, which is there when vitald was installed with a Rust toolchain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald import _native
from vitald.aggregator.windows import DEFAULT_WINDOWS
from vitald.errors import UsageError
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from vitald.aggregator.interval import Answer, Interval, Ledger
    from vitald.aggregator.selector import Selector
    from vitald.clock import Instant


class NativeEngine:
    """See `vitald.aggregator.engine.Engine`, and `PythonEngine` for the arguments.

    Sockets are read by threads of their own: there is no use for an event loop's readers.
    """

    name = "native"
    threadsafe = True

    def __init__(
        self,
        now: Instant,
        *,
        interval: float = 10.0,
        windows: Sequence[float] = DEFAULT_WINDOWS,
        series_limit: int = 100_000,
        series_expiry: float = 3600.0,
        set_exact_limit: int = 1000,
        histogram_scale: int = 6,
        add_reader: object = None,  # noqa: ARG002
        remove_reader: object = None,  # noqa: ARG002
    ) -> None:
        self._engine = _native.Engine(
            now,
            interval=interval,
            windows=windows,
            series_limit=series_limit,
            series_expiry=series_expiry,
            set_exact_limit=set_exact_limit,
            histogram_scale=histogram_scale,
        )

    def attach(self, sock: socket.socket, label: str, dialect: Dialect = DEFAULT_DIALECT) -> None:
        self._engine.attach(sock.fileno(), label, dialect)

    def detach(self, sock: socket.socket) -> None:
        self._engine.detach(sock.fileno())

    def ingest(
        self,
        data: bytes,
        *,
        label: str = "internal",
        cut: bool = False,
        dialect: Dialect = DEFAULT_DIALECT,
    ) -> None:
        self._engine.ingest(data, label, cut, dialect)

    def rotate(self, now: Instant) -> Interval:
        return self._engine.rotate(now)

    def tidy(self) -> bool:
        return False

    def query(self, selector: Selector, window: float) -> Answer:
        try:
            return self._engine.query(selector.names, selector.tags, selector.types, window)
        except _native.WindowError as error:
            (longest,) = error.args
            raise UsageError(
                f"cannot answer over {window:g} s: the longest window is {longest:g} s"
            ) from None

    def ledger(self) -> Ledger:
        return self._engine.ledger()
