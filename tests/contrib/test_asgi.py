from __future__ import annotations

import asyncio

import pytest
from inbox import open_inbox
from web_metrics import ask, connections_of, durations_of, leave, requests_of, serving

from vitald.contrib.asgi import MetricsMiddleware

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"a", "more_body": True}
LAST = {"type": "http.response.body", "body": b"a"}
ACCEPT = {"type": "websocket.accept"}


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def call(inbox):
    """Serve one request with an application; return the messages that it sent."""

    async def run(app, *incoming, kind="http", broken_after=None, **scope):
        sent, waiting = [], list(incoming)

        async def receive():
            if waiting:
                return waiting.pop(0)
            return await asyncio.Event().wait()

        async def send(message):
            if broken_after is not None and len(sent) >= broken_after:
                raise OSError("the client has left")
            sent.append(message)

        middleware = MetricsMiddleware(app, inbox.client, route=lambda scope: scope.get("template"))
        scope = {
            "type": kind,
            "method": "GET",
            "path": "/users/7",
            "template": "/users/{id}",
        } | scope
        await middleware(scope, receive, send)
        return sent

    return run


def sending(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


async def test_a_request_is_counted_by_method_route_and_status(inbox, call):
    assert await call(sending(START, LAST)) == [START, LAST]
    await call(sending(START | {"status": 404}, LAST), method="POST")
    assert requests_of(inbox) == {"GET /users/{id} 200": 1, "POST /users/{id} 404": 1}


async def test_without_a_route_function_the_path_is_not_told(inbox):
    async def send(_):
        pass

    app = MetricsMiddleware(sending(START, LAST), inbox.client)
    for number in range(100):
        await app({"type": "http", "method": f"M{number}", "path": f"/{number}"}, None, send)
    assert requests_of(inbox) == {"OTHER unmatched 200": 100}


async def test_a_streaming_response_is_timed_to_its_last_part(inbox, call):
    async def app(scope, receive, send):
        await send(START)
        await send(PART)
        await asyncio.sleep(0.03)
        assert requests_of(inbox) == {}
        await send(LAST)
        assert requests_of(inbox) == {"GET /users/{id} 200": 1}

    await call(app)
    (seconds,) = durations_of(inbox)
    assert seconds >= 0.03


async def test_what_is_done_after_the_response_changes_nothing(inbox, call):
    async def app(scope, receive, send):
        await send(START)
        await send(LAST)
        raise ValueError("in the background")

    with pytest.raises(ValueError, match="in the background"):
        await call(app)
    assert requests_of(inbox) == {"GET /users/{id} 200": 1}


@pytest.mark.parametrize("sent", [(), (START,), (START, PART)])
async def test_an_exception_is_a_500_and_is_raised_on(inbox, call, sent):
    async def app(scope, receive, send):
        await sending(*sent)(scope, receive, send)
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await call(app)
    assert requests_of(inbox) == {"GET /users/{id} 500": 1}


@pytest.mark.parametrize("sent", [(), (START,), (START, PART)])
async def test_an_application_that_gives_up_half_way_is_a_500(inbox, call, sent):
    await call(sending(*sent))
    assert requests_of(inbox) == {"GET /users/{id} 500": 1}


async def test_a_cancelled_request_is_cancelled(inbox, call):
    async def app(scope, receive, send):
        await send(START)
        await asyncio.Event().wait()

    task = asyncio.create_task(call(app))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert requests_of(inbox) == {"GET /users/{id} cancelled": 1}


async def test_a_client_that_leaves_before_the_end_is_cancelled(inbox, call):
    async def app(scope, receive, send):
        await send(START)
        assert (await receive())["type"] == "http.disconnect"

    await call(app, {"type": "http.disconnect"})
    assert requests_of(inbox) == {"GET /users/{id} cancelled": 1}


async def test_what_is_raised_when_nobody_is_left_to_answer_is_no_500(inbox, call):
    async def app(scope, receive, send):
        await receive()
        raise ValueError("what frameworks do then")

    with pytest.raises(ValueError, match="what frameworks do then"):
        await call(app, {"type": "http.disconnect"})
    assert requests_of(inbox) == {"GET /users/{id} cancelled": 1}


async def test_a_server_that_refuses_to_send_says_that_the_client_has_left(inbox, call):
    with pytest.raises(OSError, match="has left"):
        await call(sending(START, PART, PART), broken_after=2)
    assert requests_of(inbox) == {"GET /users/{id} cancelled": 1}


async def test_a_complete_response_counts_though_the_client_has_left(inbox, call):
    async def app(scope, receive, send):
        await receive()
        await send(START)
        await send(LAST)

    await call(app, {"type": "http.disconnect"})
    assert requests_of(inbox) == {"GET /users/{id} 200": 1}


async def test_the_response_ends_with_its_trailers(inbox, call):
    async def app(scope, receive, send):
        await send(START | {"trailers": True})
        await send(LAST)
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": True})
        assert requests_of(inbox) == {}
        await send({"type": "http.response.trailers", "headers": []})
        assert requests_of(inbox) == {"GET /users/{id} 200": 1}

    await call(app)


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
async def test_a_file_that_the_server_sends_is_a_body(inbox, call, kind):
    await call(sending(START, {"type": kind, "path": "/a", "file": 3}))
    assert requests_of(inbox) == {"GET /users/{id} 200": 1}


async def test_lifespan_passes_through_untouched(inbox):
    seen = []

    async def app(*arguments):
        seen.append(arguments)

    scope, receive, send = {"type": "lifespan"}, object(), object()
    await MetricsMiddleware(app, inbox.client)(scope, receive, send)
    assert seen == [(scope, receive, send)]
    assert not inbox.read().counters


async def test_a_websocket_is_counted_and_timed_when_it_ends(inbox, call):
    async def app(scope, receive, send):
        await send(ACCEPT)
        await asyncio.sleep(0.02)
        await send({"type": "websocket.close"})

    await call(app, kind="websocket")
    assert connections_of(inbox) == {"/users/{id} closed": 1}
    assert durations_of(inbox)[0] >= 0.02


LEFT = {"type": "websocket.disconnect", "code": 4711}


async def leaving(scope, receive, send):
    await send(ACCEPT)
    await receive()
    raise ValueError("what frameworks do then")


async def left_early(scope, receive, send):
    await receive()


async def failing(scope, receive, send):
    await send(ACCEPT)
    raise ValueError("a defect")


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (sending({"type": "websocket.close"}), "rejected"),
        (sending({"type": "websocket.http.response.start", "status": 403}), "rejected"),
        (sending(), "rejected"),
        (leaving, "closed"),
        (left_early, "cancelled"),
        (failing, "failed"),
    ],
    ids=["closed first", "denied", "never accepted", "left", "left early", "failed"],
)
async def test_a_websockets_status_is_one_of_few(inbox, call, app, status):
    incoming = [LEFT] if app in {leaving, left_early} else []
    try:
        await call(app, *incoming, kind="websocket")
    except ValueError:
        assert app in {leaving, failing}
    assert connections_of(inbox) == {f"/users/{{id}} {status}": 1}


SERVED = """
    import asyncio

    from vitald import Client
    from vitald.contrib.asgi import MetricsMiddleware

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        if scope["path"] == "/defect":
            raise ValueError("a defect")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a" * 100, "more_body": True})
        if scope["path"] == "/endless":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"b"})

    app = MetricsMiddleware(app, Client(flush_interval=0.01), route=lambda scope: scope["path"])
"""


def test_under_uvicorn_requests_streams_defects_and_lost_clients_are_told_apart(inbox, tmp_path):
    command = ["uvicorn", "app:app", "--fd", "{fd}", "--no-access-log"]
    with serving(tmp_path, SERVED, command, inbox.url) as port:
        assert ask(port, "/stream").startswith(b"HTTP/1.1 200")
        assert ask(port, "/defect").startswith(b"HTTP/1.1 500")
        leave(port, "/endless")
        inbox.wait_for(lambda inbox: sum(map(len, inbox.samples.values())) == 3)
    assert requests_of(inbox) == {
        "GET /stream 200": 1,
        "GET /defect 500": 1,
        "GET /endless cancelled": 1,
    }
    assert (
        inbox.samples["http_request_duration_seconds#method:GET,route:/stream,status:200"][0] > 0.05
    )
