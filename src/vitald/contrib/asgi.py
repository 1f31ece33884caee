"""Metrics of any ASGI application.

    app = MetricsMiddleware(app, client, route=lambda scope: …)

    http_requests_total{method,route,status}                requests whose response has ended
    http_request_duration_seconds{method,route,status}      to the last byte that was handed over
    websocket_connections_total{route,status}               WebSockets that have ended
    websocket_connection_duration_seconds{route,status}     from the handshake to the end

`vitald.contrib.starlette` knows the routes of Starlette and FastAPI.
"""

from __future__ import annotations

from time import perf_counter_ns

from vitald.contrib.web import (
    CANCELLED,
    FAILED,
    Recorder,
    http_recorder,
    no_route,
    status_of,
    template_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from vitald.client import Client

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# What carries a body; the second is a whole one, by the extensions of ASGI 2.3 and later.
_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class MetricsMiddleware:
    """Counts and times the requests of `app`.

    `route` is asked after the application for the template of the route that it took, None for
    none; without it every request is `unmatched`. Without `client`, `Client()` sends.
    """

    def __init__(
        self,
        app: Application,
        client: Client | None = None,
        *,
        route: Callable[[Scope], str | None] = no_route,
    ) -> None:
        self.app, self.route = app, route
        self.requests = http_recorder(client)
        self.connections = Recorder(
            self.requests.client,
            "websocket_connections_total",
            "websocket_connection_duration_seconds",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection; everything else (lifespan) passes through."""
        kind = scope["type"]
        if kind == "http":
            await _Request(self, scope, receive, send).run()
        elif kind == "websocket":
            await _Connection(self, scope, receive, send).run()
        else:
            await self.app(scope, receive, send)


class _Request:
    """One request, recorded once: with its last message, or with the end of the application."""

    __slots__ = (
        "_has_trailers",
        "_is_gone",
        "_is_over",
        "_middleware",
        "_receive",
        "_scope",
        "_send",
        "_start",
        "_status",
    )

    def __init__(
        self, middleware: MetricsMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware, self._scope = middleware, scope
        self._receive, self._send = receive, send
        self._status: object = FAILED
        self._is_gone = self._is_over = self._has_trailers = False
        self._start = perf_counter_ns()

    async def run(self) -> None:
        try:
            await self._middleware.app(self._scope, self.receive, self.send)
        except BaseException as error:
            self._end(CANCELLED if self._is_gone else status_of(error))
            raise
        # Without an end the server sends a 500, or cuts the connection.
        self._end(CANCELLED if self._is_gone else FAILED)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_gone = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._has_trailers = message.get("trailers", False)
        try:
            await self._send(message)
        except OSError:  # how a server of ASGI 2.4 says that the client has left
            self._is_gone = True
            raise
        if self._is_last(message):
            self._end(self._status)

    def _is_last(self, message: Message) -> bool:
        kind = message["type"]
        if kind in _BODIES:
            return not (self._has_trailers or message.get("more_body", False))
        return kind == "http.response.trailers" and not message.get("more_trailers", False)

    def _end(self, status: object) -> None:
        if self._is_over:
            return
        self._is_over = True
        middleware, scope = self._middleware, self._scope
        route = template_of(middleware.route, scope)
        middleware.requests.record(scope["method"], route, status, self._start)


class _Connection:
    """One WebSocket. A client that leaves is its normal end, whatever the application raises then.

    Its status is `closed`, `rejected` (never accepted), `failed` (an exception) or `cancelled`.
    Close codes are no tag: clients choose them.
    """

    __slots__ = ("_is_accepted", "_is_gone", "_middleware", "_receive", "_scope", "_send")

    def __init__(
        self, middleware: MetricsMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware, self._scope = middleware, scope
        self._receive, self._send = receive, send
        self._is_gone = self._is_accepted = False

    async def run(self) -> None:
        start = perf_counter_ns()
        try:
            await self._middleware.app(self._scope, self.receive, self.send)
        except BaseException as error:
            self._end(start, error)
            raise
        self._end(start, None)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_gone = True
        return message

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self._is_gone = True
            raise
        if message["type"] == "websocket.accept":
            self._is_accepted = True

    def _end(self, start: int, error: BaseException | None) -> None:
        middleware = self._middleware
        route = template_of(middleware.route, self._scope)
        middleware.connections.record(None, route, self._status(error), start)

    def _status(self, error: BaseException | None) -> str:
        if self._is_gone:
            return "closed" if self._is_accepted else CANCELLED
        if error is not None:
            return "failed" if isinstance(error, Exception) else CANCELLED
        return "closed" if self._is_accepted else "rejected"
