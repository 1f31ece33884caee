from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import textwrap
import time

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import include, path, re_path
from inbox import open_inbox
from web_metrics import ask, durations_of, leave, requests_of, serving

from vitald.contrib import django as contrib

SEES_CLIENTS_LEAVE = pytest.mark.skipif(
    django.VERSION < (5,), reason="under ASGI older versions of Django serve on"
)
MIDDLEWARE = "vitald.contrib.django.MetricsMiddleware"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[MIDDLEWARE], SECRET_KEY="a"
    )
    django.setup()


def user(request, user_id):
    if user_id == 404:
        raise Http404
    if user_id == 500:
        raise ValueError("a defect")
    return HttpResponse(f"user {user_id}")


async def async_user(request, user_id):
    return user(request, user_id)


def stream(request):
    def parts():
        yield b"a"
        time.sleep(0.03)
        yield b"b"
        if "broken" in request.GET:
            raise ValueError("a defect")

    return StreamingHttpResponse(parts())


async def async_stream(request):
    async def parts():
        yield b"a"
        await asyncio.sleep(0.03)
        yield b"b"

    return StreamingHttpResponse(parts())


def file(request):
    return FileResponse(io.BytesIO(b"content"))


async def waiting(request):
    await asyncio.Event().wait()


users = [path("", user, {"user_id": 1}), path("<int:user_id>/", user)]
urlpatterns = [
    path("", user, {"user_id": 1}),
    path("users/", include(users)),
    re_path(r"^jobs/(?P<user_id>[0-9]+)$", user),
    path("async/<int:user_id>", async_user),
    path("stream", stream),
    path("async-stream", async_stream),
    path("file", file),
    path("waiting", waiting),
]


@pytest.fixture
def inbox(monkeypatch):
    with open_inbox() as inbox:
        monkeypatch.setattr(contrib, "_client", lambda: inbox.client)
        yield inbox


@pytest.fixture
def fetch(inbox):
    def run(url, method="GET"):
        client = Client(raise_request_exception=False)
        answer = client.generic(method, url)
        if answer.streaming:
            b"".join(answer.streaming_content)
        return answer

    return run


@pytest.fixture
def fetch_async(inbox):
    async def run(url):
        answer = await AsyncClient(raise_request_exception=False).get(url)
        if answer.streaming:
            async for _ in answer.streaming_content:
                pass
        return answer

    return run


def test_a_request_is_counted_by_its_route(inbox, fetch):
    for url in ("/", "/users/", "/users/7/", "/users/8/", "/jobs/7"):
        assert fetch(url).status_code == 200
    fetch("/users/9/", "POST")
    assert requests_of(inbox) == {
        "GET / 200": 1,
        "GET /users/ 200": 1,
        "GET /users/<int:user_id>/ 200": 2,
        "GET ^jobs/(?P<user_id>[0-9]+)$ 200": 1,
        "POST /users/<int:user_id>/ 200": 1,
    }


def test_no_path_is_told_that_no_route_takes(inbox, fetch):
    for number in range(50):
        fetch(f"/{number}")
    fetch("/nowhere", "BREW")
    assert requests_of(inbox) == {"GET unmatched 404": 50, "OTHER unmatched 404": 1}


def test_exceptions_have_the_status_that_django_makes_of_them(inbox, fetch):
    fetch("/users/404/")
    fetch("/users/500/")
    assert requests_of(inbox) == {
        "GET /users/<int:user_id>/ 404": 1,
        "GET /users/<int:user_id>/ 500": 1,
    }


def test_an_exception_that_django_lets_through_is_raised_on(inbox):
    def stopped(request):
        request.resolver_match = None
        sys.exit(1)

    with pytest.raises(SystemExit):
        contrib.MetricsMiddleware(stopped)(django.test.RequestFactory().get("/"))
    assert requests_of(inbox) == {"GET unmatched cancelled": 1}


def test_a_stream_is_timed_until_it_is_closed(inbox, fetch):
    fetch("/stream")
    assert requests_of(inbox) == {"GET /stream 200": 1}
    assert durations_of(inbox)[0] >= 0.03


def test_a_stream_that_fails_is_a_500_and_raises_on(inbox):
    with pytest.raises(ValueError, match="a defect"):
        serve(get_wsgi_application(), "/stream", QUERY_STRING="broken")
    assert requests_of(inbox) == {"GET /stream 500": 1}


def test_a_stream_that_is_closed_before_its_end_is_cancelled(inbox):
    serve(get_wsgi_application(), "/stream", parts=1)
    assert requests_of(inbox) == {"GET /stream cancelled": 1}


def test_a_stream_that_nobody_needs_to_read_is_complete(inbox):
    serve(get_wsgi_application(), "/stream", parts=0)
    assert requests_of(inbox) == {"GET /stream 200": 1}


def test_a_stream_that_is_closed_twice_is_counted_once(inbox):
    request = django.test.RequestFactory().get("/stream")
    request.resolver_match = None
    response = contrib.MetricsMiddleware(stream)(request)
    close = response.close
    close()
    close()
    response.close()
    assert requests_of(inbox) == {"GET unmatched 200": 1}


def test_a_file_stays_what_the_server_can_send_itself(inbox):
    class Wrapper:
        def __init__(self, filelike, size):
            self.close = filelike.close
            self.parts = iter([filelike.read()])

        def __iter__(self):
            return self.parts

    app = get_wsgi_application()
    assert serve(app, "/file", **{"wsgi.file_wrapper": Wrapper}) == b"content"
    assert requests_of(inbox) == {"GET /file 200": 1}


def serve(app, url, *, parts=None, **environ):
    """Serve one request; with `parts` stop reading after so many."""
    request = django.test.RequestFactory().get(url)
    body = app(request.environ | environ, lambda *_: None)
    try:
        if parts is None:
            return b"".join(body)
        for _, part in zip(range(parts), body, strict=False):
            assert part
        return b""
    finally:
        body.close()


async def test_under_asgi_it_is_a_coroutine_and_says_the_same(inbox, fetch_async):
    for url in ("/async/7", "/async/404", "/async/500", "/nowhere", "/users/7/", "/async-stream"):
        await fetch_async(url)
    assert requests_of(inbox) == {
        "GET /async/<int:user_id> 200": 1,
        "GET /async/<int:user_id> 404": 1,
        "GET /async/<int:user_id> 500": 1,
        "GET unmatched 404": 1,
        "GET /users/<int:user_id>/ 200": 1,
        "GET /async-stream 200": 1,
    }
    assert max(durations_of(inbox)) >= 0.03


@SEES_CLIENTS_LEAVE
async def test_under_asgi_a_client_that_leaves_is_cancelled(inbox):
    incoming = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive():
        await asyncio.sleep(0.02)
        return incoming.pop(0)

    async def send(message):
        raise AssertionError(message)

    scope = {"type": "http", "method": "GET", "path": "/waiting", "headers": []}
    await get_asgi_application()(scope | {"query_string": b""}, receive, send)
    assert requests_of(inbox) == {"GET /waiting cancelled": 1}


# Clients by the settings.


@pytest.fixture
def fresh():
    contrib._client.cache_clear()
    yield
    contrib._client.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_client_is_as_the_settings_say():
    names = {"STATSD_HOST": "metrics.test", "STATSD_PORT": 9125, "STATSD_PREFIX": "shop"}
    with override_settings(**names, STATSD_MAXUDPSIZE=512):
        client = contrib._client()
    assert str(client.target) == "udp://metrics.test:9125"
    assert client._prefix == "shop."
    assert client is contrib._client()
    client.close()


@pytest.mark.usefixtures("fresh")
def test_a_url_goes_before_host_and_port(tmp_path):
    with override_settings(VITALD_URL=f"unixgram://{tmp_path}/s", STATSD_HOST="metrics.test"):
        client = contrib._client()
    assert str(client.target) == f"unixgram://{tmp_path}/s"
    client.close()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("names", [{}, {"VITALD_URL": ""}], ids=str)
def test_without_settings_the_environment_says_where(monkeypatch, names):
    monkeypatch.setenv("VITALD_URL", "udp://127.0.0.1:9")
    with override_settings(**names):
        assert str(contrib._client().target) == "udp://127.0.0.1:9"
    contrib._client().close()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "wrong",
    [{"STATSD_PORT": "none"}, {"VITALD_URL": "http://here"}, {"STATSD_MAXUDPSIZE": "large"}],
    ids=str,
)
def test_wrong_settings_are_told_when_the_server_starts(wrong):
    with override_settings(**wrong), pytest.raises(ImproperlyConfigured, match="cannot make a cli"):
        contrib.MetricsMiddleware(user)


def test_statsd_takes_the_names_of_the_statsd_package(inbox):
    import statsd

    port = int(inbox.url.rpartition(":")[2])
    with override_settings(STATSD_HOST="127.0.0.1", STATSD_PORT=port, STATSD_PREFIX="shop"):
        client = contrib._statsd()
    assert isinstance(client, statsd.StatsClient)
    client.incr("orders", tags={"country": "de"})
    inbox.wait_for(lambda inbox: inbox.counters == {"shop.orders#country:de": 1})
    client.close()


@pytest.mark.parametrize("names", [{"STATSD_IPV6": True, "STATSD_HOST": "::1"}, {}], ids=str)
def test_statsds_other_settings_are_optional(names):
    with override_settings(**names, STATSD_MAXUDPSIZE=100):
        client = contrib._statsd()
    assert client._maxudpsize == 100
    client.close()


def test_an_import_makes_no_client_and_reads_no_settings():
    source = """
        import sys

        from vitald.contrib.django import client, statsd
        from django.conf import settings

        assert not settings.configured
        assert "vitald.client" not in sys.modules
        settings.configure(STATSD_HOST="127.0.0.1", STATSD_PORT=9125)
        assert str(client.target) == "udp://127.0.0.1:9125"
        statsd.incr("orders")
        client.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(source)], check=True, timeout=60)


SERVED = """
    import asyncio
    import os

    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["vitald.contrib.django.MetricsMiddleware"],
        VITALD_URL=os.environ["VITALD_URL"],
        SECRET_KEY="a",
    )

    def user(request, user_id):
        return HttpResponse(f"user {user_id}")

    def stream(request):
        return StreamingHttpResponse(parts())

    def parts():
        while True:
            yield b"a" * 100_000

    async def async_stream(request):
        return StreamingHttpResponse(async_parts())

    async def async_parts():
        while True:
            yield b"a"
            await asyncio.sleep(0.01)

    urlpatterns = [
        path("users/<int:user_id>", user),
        path("stream", stream),
        path("async-stream", async_stream),
    ]
    wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""


@pytest.mark.parametrize(
    ("command", "streaming"),
    [
        (["gunicorn", "app:wsgi", "--bind", "fd://{fd}", "--worker-tmp-dir", "."], "stream"),
        pytest.param(
            ["uvicorn", "app:asgi", "--fd", "{fd}", "--lifespan", "off"],
            "async-stream",
            marks=SEES_CLIENTS_LEAVE,
        ),
    ],
    ids=["gunicorn", "uvicorn"],
)
def test_under_a_server_a_client_that_leaves_is_cancelled(inbox, tmp_path, command, streaming):
    with serving(tmp_path, SERVED, command, inbox.url) as port:
        assert ask(port, "/users/7").count(b"user 7") == 1
        leave(port, f"/{streaming}")
        inbox.wait_for(lambda inbox: sum(map(len, inbox.samples.values())) == 2)
    assert requests_of(inbox) == {
        "GET /users/<int:user_id> 200": 1,
        f"GET /{streaming} cancelled": 1,
    }
