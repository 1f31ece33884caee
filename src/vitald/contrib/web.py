"""What the web integrations share: two metrics of a request, under tags that stay few.

    http_requests_total{method,route,status}              requests whose response has ended
    http_request_duration_seconds{method,route,status}    how long they took, to that end

The route is the application's template, never the path. `status` is the code, or `cancelled`.
There is no gauge of the requests in progress: steps of +1 and -1 are wrong for ever when a worker
is killed between them, and a level that each worker sets is the level of whoever set it last.
"""

from __future__ import annotations

from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vitald.client import Client

    Record = tuple[Callable[[], None], Callable[[float], None]]

# No route of the application took the request.
UNMATCHED = "unmatched"
# Stopped from outside before the response was complete: the client left, the worker ends.
CANCELLED = "cancelled"
# An exception, or an application that gave up half-way.
FAILED = 500

# RFC 9110, PATCH (RFC 5789) and QUERY. A client may ask with any word.
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)
_OTHER = "OTHER"

# Handles are kept for so many combinations of tags, then bound anew.
_HANDLE_LIMIT = 2000


class Recorder:
    """Counts and times by method, route and status; each combination is bound once."""

    __slots__ = ("_counter", "_duration", "_handles", "client")

    def __init__(self, client: Client | None, counter: str, duration: str) -> None:
        if client is None:
            from vitald.client import Client  # noqa: PLC0415  nobody pays for what is passed in

            client = Client()
        self.client, self._counter, self._duration = client, counter, duration
        self._handles: dict[Any, Record] = {}

    def record(self, method: str | None, route: object, status: object, start: int) -> None:
        """Count what began at `start` (by `perf_counter_ns`) and ends now; None is no method."""
        seconds = (perf_counter_ns() - start) / 1e9
        try:
            count, observe = self._handles[method, route, status]
        except (KeyError, TypeError):
            count, observe = self._find(method, route, status)
        count()
        observe(seconds)

    def _find(self, method: str | None, route: object, status: object) -> Record:
        """Return the handles of what may stand in tags; only such combinations are kept."""
        if method is not None and method not in _METHODS:
            method = _OTHER
        if not isinstance(route, str) or not route:
            route = UNMATCHED
        if not isinstance(status, str):
            status = _code(status)
        key = (method, route, status)
        found = self._handles.get(key)
        if found is None:
            tags = {"route": route, "status": status}
            if method is not None:
                tags["method"] = method
            found = (
                self.client.counter(self._counter, tags=tags).inc,
                self.client.distribution(self._duration, tags=tags).record,
            )
            if len(self._handles) >= _HANDLE_LIMIT:
                self._handles.clear()
            self._handles[key] = found
        return found


def http_recorder(client: Client | None) -> Recorder:
    """Return the recorder of HTTP requests; without a client, `Client()` sends."""
    return Recorder(client, "http_requests_total", "http_request_duration_seconds")


def status_of(error: BaseException) -> object:
    """Return the status of a request that ended in `error`.

    What is no `Exception` (CancelledError, SystemExit, a greenlet's end) came from outside.
    """
    return FAILED if isinstance(error, Exception) else CANCELLED


def template_of(route: Callable[[Any], object], request: Any) -> object:
    """Ask an application's function for a template; telemetry never breaks a request."""
    try:
        return route(request)
    except Exception:  # the function is the caller's and may do anything
        return UNMATCHED


def no_route(_: Any) -> None:
    """Know no route."""


def _code(status: object) -> int | str:
    """Return a code as a plain number: what the text of an enum's member is, depends on Python."""
    if isinstance(status, int) and 100 <= status <= 999:
        return int(status)
    return _OTHER
