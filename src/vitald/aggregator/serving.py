"""HTTP on one listening socket, within limits that no client can exceed.

A client that sends rubbish gets one JSON error; one that sends half a request, or nothing, is cut
off after `idle_seconds`; one that does not read is cut off after `stall_seconds`. None of them
holds more than one connection's buffers, and there are at most `connections` of them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from vitald import __version__
from vitald.aggregator.documents import dump

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping

    from aiohttp.web_request import BaseRequest

    from vitald.aggregator.documents import Json

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("vitald.api")

JSON_TYPE = "application/json"
HEADERS = {
    "Server": f"vitald/{__version__}",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener allows; seconds and bytes.

    `idle_seconds` bounds how long a request's headers may take and a connection may be idle,
    `stall_seconds` one write to a client that does not read, `deadline_seconds` a whole answer
    (but for a watch, which ends with its client).
    """

    connections: int = 32
    watchers: int = 8
    idle_seconds: float = 10.0
    stall_seconds: float = 5.0
    deadline_seconds: float = 60.0
    line_bytes: int = 8190
    body_bytes: int = 65536
    shutdown_seconds: float = 2.0


class HttpServer:
    """Serves `app` on one bound stream socket."""

    def __init__(self, app: web.Application, limits: Limits) -> None:
        app.on_response_prepare.append(_set_headers)
        app.middlewares.insert(0, _note_request)
        self._limits = limits
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=limits.shutdown_seconds
        )
        self._server: asyncio.AbstractServer | None = None

    async def start(self, sock: socket.socket) -> None:
        """Start answering on `sock`, which belongs to the server from here on."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, sock=sock, backlog=128)

    async def stop(self) -> None:
        """Stop accepting, give running requests `shutdown_seconds`, cut off the rest."""
        if self._server is not None:
            self._server.close()
        manager = self._runner.server
        transports = [each.transport for each in manager.connections] if manager else []
        await self._runner.cleanup()
        for transport in transports:
            if transport is not None:
                transport.abort()

    def _connect(self) -> asyncio.Protocol:
        manager = self._runner.server
        if manager is None or len(manager.connections) >= self._limits.connections:
            return _Refusal()
        settings: dict[str, Any] = {
            "idle_seconds": self._limits.idle_seconds,
            "stall_seconds": self._limits.stall_seconds,
            "keepalive_timeout": self._limits.idle_seconds,
            "max_line_size": self._limits.line_bytes,
            "max_field_size": self._limits.line_bytes,
            "lingering_time": 1.0,
            "access_log": None,
            "logger": log,
        }
        return _Connection(manager, loop=asyncio.get_running_loop(), **settings)


class _Connection(web.RequestHandler):
    """One connection; errors are answered as JSON, and rubbish does not fill the log."""

    __slots__ = ("_idle_seconds", "_stall_seconds", "has_asked")

    def __init__(
        self, manager: web.Server, *, idle_seconds: float, stall_seconds: float, **settings: Any
    ) -> None:
        super().__init__(manager, **settings)
        self._idle_seconds = idle_seconds
        self._stall_seconds = stall_seconds
        self.has_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # Between two requests aiohttp keeps this time itself; before the first one, not every
        # release of it does.
        self._loop.call_later(self._idle_seconds, self._end_if_silent, transport)

    def _end_if_silent(self, transport: asyncio.BaseTransport) -> None:
        if not self.has_asked and isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    async def start(self) -> None:
        """Answer this connection's requests until it ends."""
        transport = self.transport
        try:
            await super().start()
        finally:
            # A transport that is closed still waits until its buffer is read, for ever if need
            # be, and counts against the limit meanwhile.
            if transport is not None and transport.get_write_buffer_size():
                self._loop.call_later(self._stall_seconds, transport.abort)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the client's bytes
    ) -> web.StreamResponse:
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            text = "cannot read the request: it is no HTTP/1.1, or longer than the limits"
        else:
            text = "cannot answer: an error in the sidecar, see its log"
            if not isinstance(exc, ConnectionError):
                log.error("cannot answer %r", request.path[:200], exc_info=exc)
        if request.writer.output_size > 0:
            # Half an answer is on its way; only the end of the connection can say so.
            raise ConnectionResetError(text)
        response = json_response({"error": text}, status)
        response.headers.update(HEADERS)
        response.force_close()
        return response


class _Refusal(asyncio.Protocol):
    """Answers a connection beyond the limit and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        body = dump({"error": "cannot answer: too many connections"}) + "\n"
        head = (
            f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {JSON_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        )
        if isinstance(transport, asyncio.WriteTransport):
            transport.write((head + body).encode("ascii"))
        transport.close()


def json_response(document: Json, status: int = 200, content_type: str = JSON_TYPE) -> web.Response:
    """Return a whole document."""
    body = (dump(document) + "\n").encode("ascii")
    return web.Response(body=body, status=status, headers={"Content-Type": content_type})


async def send(request: web.Request, response: web.Response, limits: Limits) -> web.Response:
    """Send a whole answer here, where the client's time is limited, rather than in aiohttp."""
    await within(response.prepare(request), request, limits)
    await within(response.write_eof(), request, limits)
    return response


async def stream(
    request: web.Request,
    pieces: AsyncGenerator[str, None],
    headers: Mapping[str, str],
    limits: Limits,
    *,
    end: str = "",
) -> web.StreamResponse:
    """Send `pieces` and `end` as they come: chunked, or to the connection's end for HTTP/1.0.

    What goes wrong before the first piece is raised as it is and can still become an error
    answer; after it, the connection is cut, so that no client takes a part for the whole.
    """
    try:
        first = await anext(pieces)
        response = web.StreamResponse(headers=headers)
        await within(response.prepare(request), request, limits)
        if request.method != "HEAD":
            await _write(request, response, first, limits)
            async for piece in pieces:
                await _write(request, response, piece, limits)
            await _write(request, response, end, limits)
        await within(response.write_eof(), request, limits)
    finally:
        await pieces.aclose()
    return response


async def _write(
    request: web.Request, response: web.StreamResponse, piece: str, limits: Limits
) -> None:
    if piece:  # an empty chunk would be the last one
        await within(response.write(piece.encode()), request, limits)


async def within(writing: Awaitable[object], request: web.Request, limits: Limits) -> None:
    """Wait for a write; one that stalls ends the connection, and with it the write."""
    loop = asyncio.get_running_loop()
    timer = loop.call_later(limits.stall_seconds, cut_off, request)
    try:
        await writing
    finally:
        timer.cancel()


async def by_deadline(
    answering: Coroutine[Any, Any, web.StreamResponse], request: web.Request, limits: Limits
) -> web.StreamResponse:
    """Wait for an answer; raise TimeoutError past the deadline, and cut off half an answer."""
    task = asyncio.ensure_future(answering)
    task.add_done_callback(_retrieve)
    try:
        done, _ = await asyncio.wait({task}, timeout=limits.deadline_seconds)
    finally:
        task.cancel()
    if done:
        return task.result()
    if request.writer.output_size > 0:
        cut_off(request)
    raise asyncio.TimeoutError


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the exception of a task that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()


def cut_off(request: web.Request) -> None:
    """End the connection now, with whatever is still buffered."""
    if request.transport is not None:
        request.transport.abort()


@web.middleware
async def _note_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    if isinstance(request.protocol, _Connection):
        request.protocol.has_asked = True
    return await handler(request)


async def _set_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
