"""Topic `integrations`: what the web integrations add to a request."""

from __future__ import annotations

import asyncio
import statistics
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from benchmarks.tables import Report
from vitald import Client
from vitald.contrib import asgi, wsgi
from vitald.contrib.django import client as django_client
from vitald.contrib.flask import MetricsMiddleware as FlaskMetrics
from vitald.contrib.starlette import MetricsMiddleware as StarletteMetrics
from vitald.testing import Sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS = 15
REQUESTS = 2000

METHOD = (
    "One process calls the application as a server does, without a socket, {requests} times a "
    "round, bare and measured in turn; rounds: {rounds}. Shown: the medians of the time of a "
    "request, and of the rounds' differences, in microseconds. The client sends to a sidecar in "
    "the same process, so its own thread is in the numbers. {versions}."
)

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"a"}
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/api/users/7",
    "raw_path": b"/api/users/7",
    "root_path": "",
    "query_string": b"",
    "headers": [],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}
ENVIRON: dict[str, Any] = {"PATH_INFO": "/api/users/7"}
setup_testing_defaults(ENVIRON)
MIDDLEWARE = "vitald.contrib.django.MetricsMiddleware"


def reports() -> list[Report]:
    """Measure every framework; takes about half a minute."""
    names = ("starlette", "fastapi", "flask", "django")
    method = METHOD.format(
        requests=REQUESTS,
        rounds=ROUNDS,
        versions=", ".join(f"{name} {version(name)}" for name in names),
    )
    # Its own thread sends, as in a service.
    with Sidecar() as sidecar, Client(sidecar.url) as client:
        rows = list(_rows(client, sidecar.url))
    columns = ("application", "bare", "measured", "added")
    return [Report("What a request costs more", method, columns, rows)]


def _rows(client: Client, url: str) -> Iterable[tuple[str, ...]]:
    def template(_: object) -> str:
        return "/api/users/{id}"

    bare_asgi, bare_wsgi = _asgi_application, _wsgi_application
    yield _row(
        "ASGI", _serve_asgi, bare_asgi, asgi.MetricsMiddleware(bare_asgi, client, route=template)
    )
    yield _row(
        "WSGI", _serve_wsgi, bare_wsgi, wsgi.MetricsMiddleware(bare_wsgi, client, route=template)
    )
    starlette, fastapi, flask = _starlette(), _fastapi(), _flask()
    starlette.add_middleware(StarletteMetrics, client=client)
    fastapi.add_middleware(StarletteMetrics, client=client)
    yield _row("Starlette", _serve_asgi, _starlette(), starlette)
    yield _row("FastAPI", _serve_asgi, _fastapi(), fastapi)
    flask.wsgi_app = FlaskMetrics(flask.wsgi_app, client)  # type: ignore[method-assign]
    yield _row("Flask", _serve_wsgi, _flask(), flask)
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="a", VITALD_URL=url)
    django.setup()
    yield _row("Django", _serve_wsgi, _django([]), _django([MIDDLEWARE]))
    django_client.close()


def _row(name: str, serve: Callable[[Any], float], bare: Any, measured: Any) -> tuple[str, ...]:
    rounds = [(serve(bare), serve(measured)) for _ in range(ROUNDS + 1)][1:]
    shown = (
        statistics.median(one for one, _ in rounds),
        statistics.median(one for _, one in rounds),
        statistics.median(more - less for less, more in rounds),
    )
    return (name, *(f"{seconds * 1e6:.1f}" for seconds in shown))


def _serve_asgi(app: Any) -> float:
    async def serve() -> float:
        start = time.perf_counter()
        for _ in range(REQUESTS):
            await app(dict(SCOPE), _receive, _send)
        return (time.perf_counter() - start) / REQUESTS

    return asyncio.run(serve())


def _serve_wsgi(app: Any) -> float:
    start = time.perf_counter()
    for _ in range(REQUESTS):
        body = app(dict(ENVIRON), _start_response)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()
    return (time.perf_counter() - start) / REQUESTS


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_: Any) -> None:
    pass


def _start_response(*_: object) -> None:
    pass


async def _asgi_application(_: Any, __: Any, send: Any) -> None:
    await send(START)
    await send(LAST)


def _wsgi_application(_: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"a"]


def _starlette() -> Starlette:
    async def user(_: Any) -> PlainTextResponse:
        return PlainTextResponse("a")

    return Starlette(routes=[Mount("/api", routes=[Route("/users/{id:int}", user)])])


def _fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/api/users/{user_id}")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    return app


def _flask() -> Flask:
    app = Flask("shop")

    @app.get("/api/users/<int:user_id>")
    def user(user_id: int) -> str:
        return f"user {user_id}"

    return app


def _django(middleware: list[str]) -> WSGIHandler:
    settings.MIDDLEWARE = middleware
    return WSGIHandler()


def _django_user(_: Any, user_id: int) -> HttpResponse:
    return HttpResponse(f"user {user_id}")


urlpatterns = [path("api/users/<int:user_id>", _django_user)]
