"""vitald: a StatsD push client and a sidecar aggregator.

Importing this package imports nothing else; the names below load on first use, so that the CLI
and the sidecar do not pay for the client and the client does not pay for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitald.client import Client

__all__ = ["Client", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Client":
        from vitald.client import Client  # noqa: PLC0415

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
