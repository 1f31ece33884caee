"""A `StatsClient` from the environment: the twin of `statsd.defaults.env`.

    from vitald.client.defaults.env import statsd

Read are STATSD_HOST, STATSD_PORT, STATSD_PREFIX, STATSD_MAXUDPSIZE and STATSD_IPV6. The client is
made when `statsd` is first asked for; `faults` says what was wrong with the variables.
"""

from __future__ import annotations

import os

from vitald.client.defaults import make_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitald.client.dropin import StatsClient

    statsd: StatsClient

__all__ = ["faults", "statsd"]

faults: list[str] = []


def __getattr__(name: str) -> object:
    if name != "statsd":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    client, found = make_client(os.environ.get)
    if globals().setdefault("statsd", client) is client:
        faults.extend(found)
    else:  # another thread asked at the same time, and was first
        client.close()
    return globals()["statsd"]
