"""Metrics of Django, and clients by its settings.

    MIDDLEWARE = ["vitald.contrib.django.MetricsMiddleware", …]

    from vitald.contrib.django import client    a `Client`; the middleware's own
    from vitald.contrib.django import statsd    in place of `statsd.defaults.django.statsd`

Both are made when they are first used, never by the import, from STATSD_HOST, STATSD_PORT,
STATSD_PREFIX, STATSD_MAXUDPSIZE and STATSD_IPV6 of the settings. VITALD_URL goes before them, for
`client`. What is not set comes from the environment for `client`, and is `statsd`'s default for
`statsd`.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter_ns

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import SimpleLazyObject

from vitald.contrib.web import CANCELLED, http_recorder, status_of, template_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any, TypeVar

    from django.http import HttpRequest

    from vitald.client import Client, StatsClient

    C = TypeVar("C")


@cache
def _client() -> Client:
    from vitald.client import Client  # noqa: PLC0415  when it is first used

    url = getattr(settings, "VITALD_URL", None) or None  # empty is unset, as in the environment
    place = {} if url else _given(host="STATSD_HOST", port="STATSD_PORT")
    options = _given(prefix="STATSD_PREFIX", datagram_size="STATSD_MAXUDPSIZE")
    return _built(Client, {"url": url, **place, **options})


def _statsd() -> StatsClient:
    from vitald.client import StatsClient  # noqa: PLC0415  when it is first used

    options = _given(
        host="STATSD_HOST",
        port="STATSD_PORT",
        prefix="STATSD_PREFIX",
        maxudpsize="STATSD_MAXUDPSIZE",
        ipv6="STATSD_IPV6",
    )
    return _built(StatsClient, options)


def _given(**names: str) -> dict[str, Any]:
    found = {key: getattr(settings, name, None) for key, name in names.items()}
    return {key: value for key, value in found.items() if value is not None}


def _built(kind: Callable[..., C], options: dict[str, Any]) -> C:
    try:
        return kind(**options)
    except (TypeError, ValueError, OverflowError) as error:
        raise ImproperlyConfigured(f"cannot make a client from the settings: {error}") from error


client: Client = SimpleLazyObject(_client)
statsd: StatsClient = SimpleLazyObject(_statsd)


class MetricsMiddleware:
    """Counts and times requests by `resolver_match.route`, under WSGI and ASGI.

    It belongs first: what stands before it is not measured. A streaming response is timed until
    it is closed, any other until it leaves this middleware.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        # Made here, so that wrong settings are told at the start of the server.
        self.requests = http_recorder(_client())
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request; a coroutine where the handler is asynchronous."""
        if self._is_async:
            return self._serve(request)
        start = perf_counter_ns()
        try:
            response = self.get_response(request)
        except BaseException as error:
            self._record(request, status_of(error), start)
            raise
        self._follow(request, response, start)
        return response

    async def _serve(self, request: HttpRequest) -> Any:
        start = perf_counter_ns()
        try:
            response = await self.get_response(request)
        except BaseException as error:  # CancelledError: the client has left
            self._record(request, status_of(error), start)
            raise
        self._follow(request, response, start)
        return response

    def _record(self, request: HttpRequest, status: object, start: int) -> None:
        self.requests.record(request.method, template_of(_route, request), status, start)

    def _follow(self, request: HttpRequest, response: Any, start: int) -> None:
        if not getattr(response, "streaming", False):
            self._record(request, response.status_code, start)
            return
        stream = _Stream(response)
        close = response.close
        is_over = False

        def close_and_record() -> None:
            nonlocal is_over
            if is_over:
                close()
                return
            # First, as what is closed may close the response.
            is_over = True
            try:
                close()
            finally:
                self._record(request, stream.status(), start)

        response.close = close_and_record


class _Stream:
    """What became of a streaming response."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._error: BaseException | None = None
        self._is_cut = False
        # A file may be sent by the server, which reads it from `file_to_stream`.
        if getattr(response, "file_to_stream", None) is None:
            watch = self._watch_async if response.is_async else self._watch
            response.streaming_content = watch(response.streaming_content)

    def status(self) -> object:
        if self._error is not None:
            return status_of(self._error)
        return CANCELLED if self._is_cut else self._response.status_code

    def _watch(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        self._is_cut = True
        try:
            yield from parts
        except BaseException as error:
            self._error = error
            raise
        self._is_cut = False

    async def _watch_async(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._is_cut = True
        try:
            async for part in parts:
                yield part
        except BaseException as error:
            self._error = error
            raise
        self._is_cut = False


def _route(request: HttpRequest) -> str | None:
    """Return the route with the slash that Django leaves out; a regular expression as it is."""
    match = request.resolver_match
    if match is None:
        return None
    route: str = match.route
    return route if route.startswith(("^", "/")) else "/" + route
