"""The client: `Client`, and subclasses of `statsd`'s clients that take tags.

`statsd` is imported when one of its subclasses is asked for.
"""

from __future__ import annotations

from vitald.client.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitald.client.dropin import StatsClient, TCPStatsClient, UnixSocketStatsClient

__all__ = ["Client", "StatsClient", "TCPStatsClient", "UnixSocketStatsClient"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from vitald.client import dropin  # noqa: PLC0415

        return getattr(dropin, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
