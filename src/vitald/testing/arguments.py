"""The arguments of the kit's clients: those of `vitald.Client`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from vitald.client.tags import TagsLike


class ClientOptions(TypedDict, total=False):
    """Every argument of `Client` but the URL."""

    host: str | None
    port: int | None
    prefix: str | None
    tags: TagsLike
    flush_interval: float
    datagram_size: int | None
    hold: float
    aggregate: bool
    packed: bool
    series_limit: int
    accounting: bool | None


def arguments(url: str | None, options: ClientOptions) -> dict[str, Any]:
    """Return a client's arguments, complete: nothing is looked for in the environment.

    Without accounting, a test finds the lines that it asked for and none about the client.
    """
    if url is None and options.get("host") is None and options.get("port") is None:
        url = "udp://localhost:8125"
    return {"url": url, "prefix": "", "accounting": False, **options}
