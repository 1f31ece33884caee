from __future__ import annotations

import io
import sys
import time
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from inbox import open_inbox
from web_metrics import ask, durations_of, leave, requests_of, serving

from vitald.contrib.wsgi import MetricsMiddleware

HEADERS = [("Content-Type", "text/plain")]


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def make(inbox):
    def wrap(app):
        return MetricsMiddleware(app, inbox.client, route=lambda _: "/users/<id>")

    return wrap


class Server:
    """Calls an application as a server does; PEP 3333 is checked on both sides of it."""

    def __init__(self, app, *, checked=True, **environ):
        self.status = None
        self.environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": ""} | environ
        setup_testing_defaults(self.environ)
        self.body = (validator(app) if checked else app)(self.environ, self.start_response)

    def start_response(self, status, headers, exc_info=None):
        self.status = status
        return lambda _: None

    def finish(self):
        try:
            return b"".join(self.body)
        finally:
            self.body.close()


def answering(body, status="200 OK"):
    def app(environ, start_response):
        start_response(status, HEADERS)
        return body

    return app


def test_a_request_is_counted_by_method_route_and_status(inbox, make):
    assert Server(make(validator(answering([b"a", b"b"])))).finish() == b"ab"
    Server(make(answering([], "404 Not Found")), REQUEST_METHOD="POST").finish()
    assert requests_of(inbox) == {"GET /users/<id> 200": 1, "POST /users/<id> 404": 1}


def test_without_a_route_function_the_path_is_not_told(inbox):
    app = MetricsMiddleware(answering([b""]), inbox.client)
    for number in range(100):
        Server(app, checked=False, REQUEST_METHOD=f"M{number}", PATH_INFO=f"/{number}").finish()
    assert requests_of(inbox) == {"OTHER unmatched 200": 100}


def test_a_generator_is_timed_until_it_is_closed(inbox, make):
    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        yield b"a"
        time.sleep(0.03)
        yield b"b"

    server = Server(make(app))
    assert next(iter(server.body)) == b"a"
    assert requests_of(inbox) == {}
    server.finish()
    assert requests_of(inbox) == {"GET /users/<id> 200": 1}
    assert durations_of(inbox)[0] >= 0.03


def test_closing_closes_the_application_once_and_counts_once(inbox, make):
    closed = []

    class Body(list):
        def close(self):
            closed.append(True)

    body = Server(make(answering(Body([b"a"]))), checked=False).body
    list(body)
    body.close()
    body.close()
    assert len(closed) == 2  # as often as the server did
    assert requests_of(inbox) == {"GET /users/<id> 200": 1}


def test_a_server_still_sees_how_many_parts_there_are(make):
    assert len(Server(make(answering([b"a", b"b"])), checked=False).body) == 2
    with pytest.raises(TypeError):
        len(Server(make(answering(iter([b"a"]))), checked=False).body)


def test_a_body_that_is_closed_before_its_end_is_cancelled(inbox, make):
    server = Server(make(answering([b"a", b"b"])))
    next(iter(server.body))
    server.body.close()
    assert requests_of(inbox) == {"GET /users/<id> cancelled": 1}


def test_a_body_that_nobody_needs_to_read_is_complete(inbox, make):
    Server(make(answering([b""], "304 Not Modified")), checked=False).body.close()
    head = Server(make(answering([b"a", b"b"])), checked=False, REQUEST_METHOD="HEAD")
    next(iter(head.body))
    head.body.close()
    assert requests_of(inbox) == {"GET /users/<id> 304": 1, "HEAD /users/<id> 200": 1}


def raising(environ, start_response):
    raise ValueError("a defect")


def raising_late(environ, start_response):
    start_response("200 OK", HEADERS)
    yield b"a"
    raise ValueError("a defect")


class RaisingClose(list):
    def close(self):
        raise ValueError("a defect")


@pytest.mark.parametrize(
    "app",
    [raising, raising_late, answering(RaisingClose([b"a"]))],
    ids=["in the call", "in the body", "in close"],
)
def test_an_exception_is_a_500_and_is_raised_on(inbox, make, app):
    with pytest.raises(ValueError, match="a defect"):
        Server(make(app), checked=False).finish()
    assert requests_of(inbox) == {"GET /users/<id> 500": 1}


def test_what_stops_a_worker_is_no_defect_of_the_application(inbox, make):
    def app(environ, start_response):
        sys.exit(1)

    with pytest.raises(SystemExit):
        Server(make(app), checked=False)
    assert requests_of(inbox) == {"GET /users/<id> cancelled": 1}


def test_an_error_page_replaces_the_status(inbox, make):
    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        try:
            int("no number")
        except ValueError:
            start_response("503 Service Unavailable", HEADERS, sys.exc_info())
        return [b"sorry"]

    server = Server(make(app))
    server.finish()
    assert server.status == "503 Service Unavailable"
    assert requests_of(inbox) == {"GET /users/<id> 503": 1}


def test_a_response_that_never_starts_is_the_servers_500(inbox, make):
    Server(make(lambda *_: [b""]), checked=False).finish()
    assert requests_of(inbox) == {"GET /users/<id> 500": 1}


def test_a_status_line_that_is_none_is_other(inbox, make):
    Server(make(answering([b""], "OK")), checked=False).finish()
    assert requests_of(inbox) == {"GET /users/<id> OTHER": 1}


def test_what_is_passed_by_name_reaches_the_server_by_name(inbox, make):
    def app(environ, start_response):
        try:
            int("no number")
        except ValueError:
            start_response(status="500 Oops", headers=HEADERS, exc_info=sys.exc_info())
        return [b"sorry"]

    server = Server(make(app), checked=False)
    assert server.finish() == b"sorry"
    assert server.status == "500 Oops"
    assert requests_of(inbox) == {"GET /users/<id> 500": 1}


@pytest.mark.parametrize("status", [200, b"200 OK", None])
def test_a_status_that_is_no_text_is_the_servers_to_refuse(inbox, make, status):
    server = Server(make(answering([b"a"], status)), checked=False)
    assert server.finish() == b"a"
    assert server.status == status
    assert requests_of(inbox) == {"GET /users/<id> OTHER": 1}


def test_the_write_function_of_the_server_is_passed_on(make):
    def app(environ, start_response):
        assert callable(start_response("200 OK", HEADERS))
        return []

    Server(make(app)).finish()


def test_a_file_stays_what_the_server_can_send_itself(inbox, make):
    file = io.BytesIO(b"content")

    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        return environ["wsgi.file_wrapper"](file)

    server = Server(make(app), checked=False, **{"wsgi.file_wrapper": FileWrapper})
    assert type(server.body) is FileWrapper
    assert requests_of(inbox) == {}
    server.body.close()
    assert file.closed
    assert requests_of(inbox) == {"GET /users/<id> 200": 1}


def test_a_file_whose_end_cannot_be_seen_is_counted_at_once(inbox, make):
    class Sealed:
        __slots__ = ("file",)

        def __init__(self, file):
            self.file = file

        def close(self):
            pass

    app = answering(Sealed(None))
    Server(make(app), checked=False, **{"wsgi.file_wrapper": Sealed})
    assert requests_of(inbox) == {"GET /users/<id> 200": 1}


SERVED = """
    import time

    from vitald import Client
    from vitald.contrib.wsgi import MetricsMiddleware

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/defect":
            raise ValueError("a defect")
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/file":
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        return parts(environ["PATH_INFO"] == "/endless")

    def parts(is_endless):
        yield b"a"
        while is_endless:
            yield b"a" * 100_000
        time.sleep(0.05)
        yield b"b"

    client = Client(flush_interval=0.01)
    app = MetricsMiddleware(app, client, route=lambda environ: environ["PATH_INFO"])
"""


def test_under_gunicorn_requests_files_defects_and_lost_clients_are_told_apart(inbox, tmp_path):
    command = ["gunicorn", "app:app", "--bind", "fd://{fd}", "--worker-tmp-dir", str(tmp_path)]
    with serving(tmp_path, SERVED, command, inbox.url) as port:
        assert ask(port, "/stream").startswith(b"HTTP/1.1 200")
        assert b"wsgi.file_wrapper" in ask(port, "/file")
        assert ask(port, "/defect").startswith(b"HTTP/1.1 500")
        leave(port, "/endless")
        inbox.wait_for(lambda inbox: sum(map(len, inbox.samples.values())) == 4)
    assert requests_of(inbox) == {
        "GET /stream 200": 1,
        "GET /file 200": 1,
        "GET /defect 500": 1,
        "GET /endless cancelled": 1,
    }
    assert (
        inbox.samples["http_request_duration_seconds#method:GET,route:/stream,status:200"][0] > 0.05
    )
