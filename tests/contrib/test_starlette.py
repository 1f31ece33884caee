from __future__ import annotations

import asyncio

import fastapi
import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from inbox import open_inbox
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from web_metrics import ask, connections_of, durations_of, leave, requests_of, serving

from vitald.contrib.starlette import MetricsMiddleware


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def fetch(inbox):
    """Ask an application for paths; return the last answer."""

    async def run(app, *paths, method="GET", host="shop.test", **options):
        if not getattr(app, "middleware_stack", None):
            app.add_middleware(MetricsMiddleware, client=inbox.client)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, **options)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            for path in paths:
                answer = await client.request(method, path)
        return answer

    return run


async def hello(request):
    return PlainTextResponse("hello")


def starlette(*routes, **options):
    return Starlette(routes=list(routes), **options)


async def test_a_request_is_counted_by_the_template_of_its_route(inbox, fetch):
    app = starlette(Route("/users/{id:int}", hello, methods=["GET", "DELETE"]))
    await fetch(app, "/users/7", "/users/8")
    await fetch(app, "/users/9", method="DELETE")
    assert requests_of(inbox) == {
        "GET /users/{id:int} 200": 2,
        "DELETE /users/{id:int} 200": 1,
    }


async def test_no_path_is_told_that_no_route_takes(inbox, fetch):
    app = starlette(Route("/users", hello), Mount("/api", routes=[Route("/jobs", hello)]))
    await fetch(app, *(f"/{number}" for number in range(50)), "/api/x", "/users/")
    assert requests_of(inbox) == {"GET unmatched 404": 51, "GET unmatched 307": 1}


async def test_a_method_that_a_route_refuses_is_told_with_its_template(inbox, fetch):
    await fetch(starlette(Route("/users/{id}", hello)), "/users/7", method="PATCH")
    assert requests_of(inbox) == {"PATCH /users/{id} 405": 1}


async def test_mounts_are_in_the_template(inbox, fetch):
    below = Mount("/v{version}", routes=[Route("/", hello), Route("/jobs/{id}", hello)])
    await fetch(starlette(Mount("/api", routes=[below])), "/api/v1/", "/api/v2/jobs/7")
    assert requests_of(inbox) == {
        "GET /api/v{version}/ 200": 1,
        "GET /api/v{version}/jobs/{id} 200": 1,
    }


@pytest.mark.parametrize(
    "wrap",
    [lambda app: app, GZipMiddleware, lambda app: GZipMiddleware(GZipMiddleware(app))],
    ids=["bare", "in middleware", "in two"],
)
@pytest.mark.parametrize("kind", [Router, Starlette, FastAPI])
async def test_mounted_applications_are_in_the_template(inbox, fetch, wrap, kind):
    mounted = kind(routes=[Route("/jobs/{id}", hello)])
    await fetch(starlette(Mount("/api", app=wrap(mounted))), "/api/jobs/7", "/api/none")
    assert requests_of(inbox) == {"GET /api/jobs/{id} 200": 1, "GET unmatched 404": 1}


async def test_files_are_one_route(inbox, fetch, tmp_path):
    (tmp_path / "a.css").write_text("a {}")
    app = starlette(Mount("/static", StaticFiles(directory=tmp_path)))
    await fetch(app, "/static/a.css", "/static/b.css")
    assert requests_of(inbox) == {
        "GET /static/{path:path} 200": 1,
        "GET /static/{path:path} 404": 1,
    }


async def test_hosts_have_the_routes_below_them(inbox, fetch):
    app = starlette(Host("{tenant}.test", Router(routes=[Route("/jobs/{id}", hello)])))
    await fetch(app, "/jobs/7")
    assert requests_of(inbox) == {"GET /jobs/{id} 200": 1}


async def test_one_endpoint_may_have_several_templates(inbox, fetch):
    jobs = [Route("/jobs/{id}", hello), Route("/jobs", hello)]
    app = starlette(Mount("/v1", routes=jobs), Mount("/v2", routes=jobs), Route("/{any}", hello))
    await fetch(app, "/v1/jobs/7", "/v2/jobs", "/v1/jobs", "/v2/jobs/8", "/x")
    assert requests_of(inbox) == {
        "GET /v1/jobs/{id} 200": 1,
        "GET /v1/jobs 200": 1,
        "GET /v2/jobs/{id} 200": 1,
        "GET /v2/jobs 200": 1,
        "GET /{any} 200": 1,
    }


async def test_the_servers_own_prefix_is_not_in_the_template(inbox, fetch):
    routes = [Route("/a/{id}", hello), Route("/b/{id}", hello)]
    app = starlette(Mount("/api", routes=routes))
    await fetch(app, "/shop/api/a/1", "/shop/api/b/1", root_path="/shop")
    assert requests_of(inbox) == {"GET /api/a/{id} 200": 1, "GET /api/b/{id} 200": 1}


async def test_a_route_that_is_added_later_is_found(inbox, fetch):
    app = starlette(Route("/a", hello))
    await fetch(app, "/a")

    async def later(request):
        return PlainTextResponse("later")

    app.router.routes.append(Route("/b/{id}", later))
    await fetch(app, "/b/7")
    assert requests_of(inbox) == {"GET /a 200": 1, "GET /b/{id} 200": 1}


async def test_endpoints_that_compare_equal_or_have_no_hash_are_told_apart(inbox, fetch):
    class Page:
        __hash__ = None

        def __eq__(self, other):
            return True

        async def __call__(self, scope, receive, send):
            await Response()(scope, receive, send)

    class View(HTTPEndpoint):
        async def get(self, request):
            return Response()

    await fetch(
        starlette(Route("/a", Page()), Route("/b", Page()), Route("/c", View)), "/a", "/b", "/c"
    )
    assert requests_of(inbox) == {"GET /a 200": 1, "GET /b 200": 1, "GET /c 200": 1}


async def test_endpoints_made_at_run_time_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("vitald.contrib.starlette._ENDPOINT_LIMIT", 10)
    middleware = MetricsMiddleware(None, object())
    for _ in range(100):
        scope = {"endpoint": object(), "router": Router(routes=[Route("/", hello)])}
        assert middleware.route(scope) is None
        assert len(middleware.route._known) <= 11


async def test_defects_and_errors_have_the_status_that_the_client_gets(inbox, fetch):
    async def defect(request):
        raise ValueError("a defect")

    async def handled(request):
        raise KeyError("known")

    app = starlette(
        Route("/defect", defect),
        Route("/handled", handled),
        exception_handlers={KeyError: lambda *_: Response(status_code=409)},
    )
    answer = await fetch(app, "/handled", "/defect")
    assert answer.status_code == 500
    assert requests_of(inbox) == {"GET /defect 500": 1, "GET /handled 409": 1}


async def test_a_stream_is_timed_to_its_end_and_what_is_done_after_it_is_not(inbox, fetch):
    seen = []

    async def stream(request):
        async def parts():
            yield b"a"
            await asyncio.sleep(0.03)
            yield b"b"

        background = BackgroundTask(lambda: seen.append(requests_of(inbox)))
        return StreamingResponse(parts(), background=background)

    await fetch(starlette(Route("/stream", stream)), "/stream")
    assert seen == [{"GET /stream 200": 1}]
    assert durations_of(inbox)[0] >= 0.03


async def test_other_middleware_hides_nothing(inbox, fetch):
    class Plain(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    app = starlette(Route("/users/{id}", hello))
    app.add_middleware(Plain)
    await fetch(app, "/users/7")
    assert requests_of(inbox) == {"GET /users/{id} 200": 1}


async def test_websockets_have_templates_too(inbox):
    async def echo(websocket):
        await websocket.accept()
        await websocket.receive_text()

    app = starlette(Mount("/api", routes=[WebSocketRoute("/rooms/{id}", echo)]))
    app.add_middleware(MetricsMiddleware, client=inbox.client)
    await connect(app, "/api/rooms/7")
    await connect(app, "/elsewhere")
    assert connections_of(inbox) == {"/api/rooms/{id} closed": 1, "unmatched rejected": 1}


async def connect(app, path):
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}]

    async def receive():
        return incoming.pop(0)

    async def send(message):
        pass

    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b""}
    await app(scope | {"subprotocols": [], "root_path": ""}, receive, send)


# FastAPI.


def shop():
    users, admin = APIRouter(prefix="/users"), APIRouter()

    @users.get("/{user_id}")
    async def user(user_id: int):
        if user_id == 404:
            raise HTTPException(404)
        return {"id": user_id}

    @users.websocket("/{user_id}/feed")
    async def feed(websocket: WebSocket, user_id: int):
        await websocket.accept()
        await websocket.close()

    admin.include_router(users, prefix="/orgs/{org}")
    app = FastAPI()
    app.include_router(users)
    app.include_router(admin, prefix="/v1")
    app.include_router(admin, prefix="/v2")
    return app


async def test_routers_prefixes_are_in_the_template(inbox, fetch):
    await fetch(shop(), "/users/7", "/v1/orgs/a/users/7", "/v2/orgs/b/users/8")
    assert requests_of(inbox) == {
        "GET /users/{user_id} 200": 1,
        "GET /v1/orgs/{org}/users/{user_id} 200": 1,
        "GET /v2/orgs/{org}/users/{user_id} 200": 1,
    }


@pytest.mark.skipif(
    not hasattr(fastapi.routing, "iter_route_contexts"),
    reason="older versions of FastAPI leave out what an included router has mounted",
)
async def test_what_an_included_router_has_mounted_is_in_the_template(inbox, fetch):
    router, app = APIRouter(), FastAPI()
    router.mount("/files", starlette(Route("/{name}", hello)))
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    await fetch(app, "/v2/files/a", "/v1/files/b", "/v1/files/b/c")
    assert requests_of(inbox) == {
        "GET /v1/files/{name} 200": 1,
        "GET /v2/files/{name} 200": 1,
        "GET unmatched 404": 1,
    }


async def test_fastapis_own_errors_have_the_template(inbox, fetch):
    app = shop()
    await fetch(app, "/users/404", "/users/none", "/nowhere", "/v1/nowhere")
    await fetch(app, "/v1/orgs/a/users/7", method="PUT")
    assert requests_of(inbox) == {
        "GET /users/{user_id} 404": 1,
        "GET /users/{user_id} 422": 1,
        "GET unmatched 404": 2,
        "PUT /v1/orgs/{org}/users/{user_id} 405": 1,
    }


async def test_fastapis_websockets_have_the_template(inbox):
    app = shop()
    app.add_middleware(MetricsMiddleware, client=inbox.client)
    await connect(app, "/v2/orgs/b/users/8/feed")
    assert connections_of(inbox) == {"/v2/orgs/{org}/users/{user_id}/feed closed": 1}


SERVED = """
    import asyncio

    from fastapi import FastAPI
    from starlette.responses import StreamingResponse

    from vitald import Client
    from vitald.contrib.starlette import MetricsMiddleware

    app = FastAPI()
    app.add_middleware(MetricsMiddleware, client=Client(flush_interval=0.01))

    @app.get("/users/{user_id}")
    def user(user_id: int):
        return {"id": user_id}

    @app.get("/streams/{name}")
    async def stream(name: str):
        return StreamingResponse(parts())

    async def parts():
        while True:
            yield b"a"
            await asyncio.sleep(0.01)
"""


def test_under_uvicorn_a_client_that_leaves_a_stream_is_cancelled(inbox, tmp_path):
    command = ["uvicorn", "app:app", "--fd", "{fd}", "--no-access-log"]
    with serving(tmp_path, SERVED, command, inbox.url) as port:
        assert ask(port, "/users/7").endswith(b'{"id":7}')
        leave(port, "/streams/a")
        inbox.wait_for(lambda inbox: sum(map(len, inbox.samples.values())) == 2)
    assert requests_of(inbox) == {
        "GET /users/{user_id} 200": 1,
        "GET /streams/{name} cancelled": 1,
    }
