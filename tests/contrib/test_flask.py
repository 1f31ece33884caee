from __future__ import annotations

import sys
import time

import pytest
from flask import Blueprint, Flask, Response, abort
from inbox import open_inbox
from web_metrics import ask, durations_of, requests_of, serving
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WerkzeugClient

from vitald.contrib.flask import MetricsMiddleware


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def app(inbox):
    app = Flask("shop")
    app.wsgi_app = MetricsMiddleware(app.wsgi_app, inbox.client)

    @app.get("/users/<int:user_id>")
    def user(user_id):
        return f"user {user_id}"

    return app


@pytest.fixture
def fetch(app):
    def run(path, method="GET"):
        return app.test_client().open(path, method=method, buffered=True)

    return run


def test_a_request_is_counted_by_its_rule(inbox, fetch):
    assert fetch("/users/7").text == "user 7"
    fetch("/users/8")
    fetch("/users/9", "HEAD")
    assert requests_of(inbox) == {
        "GET /users/<int:user_id> 200": 2,
        "HEAD /users/<int:user_id> 200": 1,
    }


def test_no_path_is_told_that_no_rule_takes(inbox, fetch):
    for number in range(50):
        fetch(f"/{number}")
    fetch("/users/7", "PATCH")
    fetch("/users/7", "BREW")
    assert requests_of(inbox) == {
        "GET unmatched 404": 50,
        "PATCH unmatched 405": 1,
        "OTHER unmatched 405": 1,
    }


def test_blueprints_prefixes_are_in_the_rule(inbox, app, fetch):
    jobs, api = Blueprint("jobs", __name__), Blueprint("api", __name__)

    @jobs.get("/<job_id>")
    def job(job_id):
        return job_id

    api.register_blueprint(jobs, url_prefix="/jobs")
    app.register_blueprint(api, url_prefix="/v1")
    app.register_blueprint(api, url_prefix="/v2", name="newer")
    fetch("/v1/jobs/7")
    fetch("/v2/jobs/7")
    assert requests_of(inbox) == {"GET /v1/jobs/<job_id> 200": 1, "GET /v2/jobs/<job_id> 200": 1}


def test_what_error_handlers_answer_is_the_status(inbox, app, fetch):
    @app.get("/handled")
    def handled():
        raise KeyError("known")

    @app.get("/aborted")
    def aborted():
        abort(418)

    @app.get("/defect")
    def defect():
        raise ValueError("a defect")

    @app.errorhandler(KeyError)
    def conflict(error):
        return "sorry", 409

    @app.errorhandler(404)
    def missing(error):
        return "nothing here", 410

    for path in ("/handled", "/aborted", "/defect", "/nowhere"):
        fetch(path)
    assert requests_of(inbox) == {
        "GET /handled 409": 1,
        "GET /aborted 418": 1,
        "GET /defect 500": 1,
        "GET unmatched 410": 1,
    }


def test_an_exception_that_flask_lets_through_is_a_500_with_its_rule(inbox, app, fetch):
    app.testing = True

    @app.get("/defect/<name>")
    def defect(name):
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        fetch("/defect/a")
    assert requests_of(inbox) == {"GET /defect/<name> 500": 1}


def test_a_worker_that_is_stopped_tells_which_rule_it_was_in(inbox, app, fetch):
    @app.get("/slow/<name>")
    def slow(name):
        sys.exit(1)  # as a server does in a worker's signal handler

    with pytest.raises(SystemExit):
        fetch("/slow/a")
    assert requests_of(inbox) == {"GET /slow/<name> cancelled": 1}


def test_a_hook_that_answers_first_changes_nothing_about_the_rule(inbox, app, fetch):
    app.before_request(lambda: ("closed", 503))
    fetch("/users/7")
    assert requests_of(inbox) == {"GET /users/<int:user_id> 503": 1}


def test_a_stream_is_timed_to_its_end(inbox, app):
    @app.get("/stream")
    def stream():
        def parts():
            yield "a"
            time.sleep(0.03)
            yield "b"

        return Response(parts())

    answer = app.test_client().get("/stream")
    assert requests_of(inbox) == {}
    assert answer.text == "ab"
    answer.close()
    assert requests_of(inbox) == {"GET /stream 200": 1}
    assert durations_of(inbox)[0] >= 0.03


def test_a_mounted_application_has_its_own_rules(inbox, app):
    outer = DispatcherMiddleware(Flask("outer"), {"/shop": app})
    WerkzeugClient(outer).get("/shop/users/7", buffered=True)
    assert requests_of(inbox) == {"GET /users/<int:user_id> 200": 1}


SERVED = """
    from flask import Flask

    from vitald import Client
    from vitald.contrib.flask import MetricsMiddleware

    app = Flask(__name__)
    app.wsgi_app = MetricsMiddleware(app.wsgi_app, Client(flush_interval=0.01))

    @app.get("/users/<int:user_id>")
    def user(user_id):
        return {"id": user_id}
"""


def test_under_gunicorn_files_and_pages_arrive_whole(inbox, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.css").write_text("a {}\n" * 100_000)
    command = ["gunicorn", "app:app", "--bind", "fd://{fd}", "--worker-tmp-dir", str(tmp_path)]
    with serving(tmp_path, SERVED, command, inbox.url) as port:
        assert ask(port, "/users/7").endswith(b'{"id":7}\n')
        assert len(ask(port, "/static/a.css")) > 500_000
        inbox.wait_for(lambda inbox: sum(map(len, inbox.samples.values())) == 2)
    assert requests_of(inbox) == {
        "GET /users/<int:user_id> 200": 1,
        "GET /static/<path:filename> 200": 1,
    }
