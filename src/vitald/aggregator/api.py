"""The control API: HTTP/1.1 over the control socket, and its reading half over TCP.

The two listeners are two applications. The one for TCP has no route that changes anything, so
that no check of a header or a method stands between a browser and a reload.
"""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from aiohttp import web

from vitald.aggregator import prometheus, question
from vitald.aggregator.control_socket import ControlSocket
from vitald.aggregator.dashboard import UnknownCheckError
from vitald.aggregator.documents import run_document
from vitald.aggregator.serving import (
    JSON_TYPE,
    HttpServer,
    Limits,
    by_deadline,
    json_response,
    send,
    stream,
)
from vitald.aggregator.sockets import Address, bind
from vitald.aggregator.watch import Watch
from vitald.errors import ConfigError, UsageError, VitaldError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from vitald.aggregator.dashboard import Dashboard
    from vitald.aggregator.documents import Json, Report

    Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]

_CONTENT_TYPES = {
    "json": JSON_TYPE,
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "prometheus": prometheus.CONTENT_TYPE,
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")


class Api:
    """Serves a dashboard.

    `run_check` runs one check now and returns its report; `reload` applies the configuration and
    returns what changed, or raises ConfigError and changes nothing. `hosts` are further names that
    a request over TCP may be addressed to, beside IP addresses and `localhost`.
    """

    def __init__(
        self,
        dashboard: Dashboard,
        *,
        run_check: Callable[[str], Awaitable[Report]],
        reload: Callable[[], Awaitable[Sequence[str]]],
        hosts: Sequence[str] = (),
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._dashboard = dashboard
        self._run_check = run_check
        self._reload = reload
        self._hosts = frozenset(host.lower() for host in ("localhost", *hosts))
        self._limits = limits or Limits()
        self._watch = Watch(dashboard, self._limits, sleep)
        self._servers: list[HttpServer] = []
        self._control: ControlSocket | None = None
        self._changes: set[asyncio.Task[Any]] = set()

    async def start(self, path: Path) -> None:
        """Bind the control socket and answer on it; raise StartError when that cannot be."""
        control = ControlSocket(path)
        sock = control.open()
        self._control = control
        routes = [*self._questions(), *self._commands()]
        await self._serve(sock, web.Application(middlewares=[self._errors]), routes)

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Answer questions over TCP as well; return the bound address. Raises StartError."""
        sock = bind(Address("tcp", host, port))
        app = web.Application(middlewares=[self._errors, self._only_known_hosts])
        await self._serve(sock, app, self._questions())
        address = sock.getsockname()
        return str(address[0]), int(address[1])

    async def stop(self) -> None:
        """Remove the socket file, end what is under way, and let the next sidecar start."""
        if self._control is not None:
            self._control.unlink()
        self._watch.stop()
        for server in self._servers:
            await server.stop()
        self._servers.clear()
        for change in self._changes:
            change.cancel()
        await asyncio.gather(*self._changes, return_exceptions=True)
        if self._control is not None:
            self._control.close()
            self._control = None

    async def _serve(self, sock: Any, app: web.Application, routes: Sequence[web.RouteDef]) -> None:
        app.router.add_routes(routes)
        server = HttpServer(app, self._limits)
        self._servers.append(server)
        await server.start(sock)

    # Routes

    def _questions(self) -> list[web.RouteDef]:
        handlers: dict[str, Handler] = {
            "/v1/metrics": self._metrics,
            "/v1/health": self._health,
            "/v1/stats": self._stats,
            "/v1/export": self._export,
            "/v1/ledger": self._ledger,
            "/v1/events": self._events,
            "/metrics": self._scrape,
            "/livez": self._probe(self._dashboard.alive),
            "/readyz": self._probe(self._dashboard.ready),
            "/healthz": self._probe(self._dashboard.healthy, "application/health+json"),
        }
        timed = [web.get(path, self._timed(handler)) for path, handler in handlers.items()]
        return [*timed, web.get("/v1/watch", self._watch.answer, allow_head=False)]

    def _commands(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/checks/{name}/run", self._run),
            web.post("/v1/reload", self._apply),
        ]

    # Handlers

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        asked = question.metrics_question(request.query.items())
        headers = {"Content-Type": _CONTENT_TYPES[asked.format]}
        pieces = self._dashboard.metrics(asked)
        end = "\n" if asked.format == "json" else ""
        return await stream(request, pieces, headers, self._limits, end=end)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        names = question.names_question(request.query.items())
        return json_response(self._dashboard.health(names))

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        question.no_question(request.query.items())
        return json_response(await self._dashboard.stats())

    async def _export(self, request: web.Request) -> web.StreamResponse:
        asked = question.export_question(request.query.items())
        headers = {"Content-Type": JSON_TYPE}
        pieces = self._dashboard.export(asked)
        return await stream(request, pieces, headers, self._limits, end="\n")

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        question.no_question(request.query.items())
        return json_response(self._dashboard.ledger())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        limit = question.limit_question(request.query.items())
        return json_response(self._dashboard.recent_events(limit))

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": prometheus.CONTENT_TYPE}
        return await stream(request, self._dashboard.prometheus(), headers, self._limits)

    def _probe(
        self, ask: Callable[[], tuple[bool, Json]], content_type: str = JSON_TYPE
    ) -> Handler:
        async def answer(_: web.Request) -> web.StreamResponse:
            is_good, document = ask()
            return json_response(document, 200 if is_good else 503, content_type)

        return answer

    async def _run(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if not self._dashboard.has_check(name):
            raise UnknownCheckError(f"cannot run check {name[:100]}: there is none")
        report = await self._through(self._run_check(name))
        return json_response(run_document(report, self._dashboard.time()))

    async def _apply(self, _: web.Request) -> web.StreamResponse:
        changed = await self._through(self._reload())
        return json_response({"changed": list(changed)})

    # What every handler goes through

    def _timed(self, handler: Handler) -> Handler:
        async def timed(request: web.Request) -> web.StreamResponse:
            return await by_deadline(handler(request), request, self._limits)

        return timed

    async def _through(self, change: Awaitable[Any]) -> Any:
        """Wait for a change, which goes on when the client leaves: half a reload is none."""
        task = asyncio.ensure_future(change)
        self._changes.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # the client that would have been told may be gone

    @property
    def _errors(self) -> Any:
        @web.middleware
        async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if (request.content_length or 0) > self._limits.body_bytes:
                    raise web.HTTPRequestEntityTooLarge(self._limits.body_bytes, 0)
                response = await handler(request)
            except (web.HTTPException, VitaldError, asyncio.TimeoutError) as error:
                if request.writer.output_size > 0:
                    raise
                response = _error_response(request, error)
            if isinstance(response, web.Response):
                return await send(request, response, self._limits)
            return response

        return errors

    @property
    def _only_known_hosts(self) -> Any:
        @web.middleware
        async def only_known_hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
            # DNS rebinding: a browser that was sent here by a name that an attacker owns still
            # says that name. Only HTTP/1.0 may leave the header out, and browsers do not speak it.
            host = request.headers.get("Host")
            if not (self._is_known(host) if host is not None else request.version < (1, 1)):
                error = "cannot answer: the request is addressed to another host"
                return json_response({"error": error}, 421)
            return await handler(request)

        return only_known_hosts

    def _is_known(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower()
        if name in self._hosts:
            return True
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _error_response(
    request: web.Request, error: web.HTTPException | VitaldError | asyncio.TimeoutError
) -> web.Response:
    if isinstance(error, web.HTTPException):
        return _http_error_response(request, error)
    document: Json = {"error": str(error)}
    status = 503
    if isinstance(error, ConfigError):
        status = 400
        faults = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        document = {
            "error": f"cannot reload: the configuration has {faults}; nothing was changed",
            "faults": error.faults,
        }
    elif isinstance(error, UnknownCheckError):
        status = 404
    elif isinstance(error, UsageError):
        status = 400
    elif not isinstance(error, VitaldError):
        document = {"error": f"cannot {_what(request)}: it takes too long"}
    return json_response(document, status)


def _http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    cause = error.reason.lower()
    if isinstance(error, web.HTTPMethodNotAllowed):
        cause = f"the method must be {error.headers['Allow']}"
    elif isinstance(error, web.HTTPNotFound):
        cause = "there is no such resource"
    response = json_response({"error": f"cannot {_what(request)}: {cause}"}, error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _what(request: web.Request) -> str:
    return f"{request.method} {request.path[:200]}"
