"""The engine owns the data: everything that is touched per packet or per series is behind this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vitald.wire.dialect import DEFAULT_DIALECT, Dialect

if TYPE_CHECKING:
    import socket

    from vitald.aggregator.interval import Answer, Interval, Ledger
    from vitald.aggregator.selector import Selector
    from vitald.clock import Instant


class Source(Protocol):
    """What can be asked."""

    name: str

    def query(self, selector: Selector, window: float) -> Answer:
        """Merge the sealed slots of the last `window` seconds."""
        ...

    def ledger(self) -> Ledger:
        """Account for every line up to this moment."""
        ...


class Engine(Source, Protocol):
    """Receives lines, aggregates them into the open slot, seals it, answers from sealed slots.

    `threadsafe` says that every method may be called from any thread, also while another one runs
    elsewhere; such an engine is sealed off the event loop.
    """

    threadsafe: bool

    def attach(self, sock: socket.socket, label: str, dialect: Dialect = DEFAULT_DIALECT) -> None:
        """Start receiving on a bound datagram socket; `label` names it in the ledger."""
        ...

    def detach(self, sock: socket.socket) -> None:
        """Take what the kernel still holds for the socket, then stop receiving on it."""
        ...

    def ingest(
        self,
        data: bytes,
        *,
        label: str = "internal",
        cut: bool = False,
        dialect: Dialect = DEFAULT_DIALECT,
    ) -> None:
        """Take one datagram's worth of lines.

        `cut` says that the last line's end was lost: it is rejected as truncated. The label
        `internal` is the sidecar's own: its lines are counted apart, and it is no listener. No
        data at all enters the listener in the ledger, with nothing received yet.
        """
        ...

    def rotate(self, now: Instant) -> Interval:
        """Seal the open slot at `now`, roll the windows up, expire idle series."""
        ...

    def tidy(self) -> bool:
        """Do a few milliseconds of what `rotate` left undone; say whether there is more.

        Answers are right without it; the next `rotate` does what is left.
        """
        ...
