from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from vitald.aggregator.api import Api
from vitald.errors import ConfigError, StartError, UsageError, VitaldError
from vitald.status import Status

DOCUMENT = Path(__file__).parents[2] / "docs" / "control-api.md"

QUESTIONS = {
    "/v1/metrics": "vitald.metrics/1",
    "/v1/health": "vitald.health/1",
    "/v1/stats": "vitald.stats/1",
    "/v1/export": "vitald.export/1",
    "/v1/ledger": "vitald.ledger/1",
    "/v1/events": "vitald.events/1",
}
PROBES = ("/livez", "/readyz", "/healthz")


@pytest.mark.parametrize(("path", "schema"), QUESTIONS.items())
async def test_every_question_is_answered_with_its_document(service, path, schema):
    await service.start()
    answer = await service.ask(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["schema"] == schema
    assert answer.body.endswith(b"}\n")


async def test_metrics_are_answered_in_every_format(service):
    await service.start()
    await service.world.seal("jobs:3|c|#queue:mail", "jobs:1|c|#queue:bulk")
    query = "/v1/metrics?name=j*&tag=queue%3Dmail&type=counter&window=1m&sort=sum&top=1&format="
    answer = await service.ask(f"{query}json")
    assert [entry["sum"] for entry in answer.json()["metrics"]] == [3]
    answer = await service.ask(f"{query}ndjson")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert json.loads(answer.body)["sum"] == 3
    answer = await service.ask(f"{query}csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.body.count(b"\r\n") == 2
    answer = await service.ask("/v1/metrics?tag=queue%3Dmail&format=prometheus")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'jobs_total{queue="mail"} 3\n' in answer.body


async def test_the_scrape_page_is_prometheus_text(service):
    await service.start()
    answer = await service.ask("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"vitald_build_info" in answer.body


async def test_health_takes_names_and_refuses_one_that_there_is_not(service, make_report):
    service.world.reports = [make_report("db"), make_report("disk", Status.WARNING)]
    await service.start()
    assert (await service.ask("/v1/health")).json()["status"] == "warning"
    assert (await service.ask("/v1/health?name=d%62")).json()["status"] == "healthy"
    answer = await service.ask("/v1/health?name=bd")
    assert answer.status == 404
    assert answer.json() == {"error": "cannot show check bd: there is none"}


async def test_events_take_a_limit(service):
    for number in range(3):
        service.world.events.add("sidecar", f"e{number}")
    await service.start()
    answer = await service.ask("/v1/events?limit=2")
    assert [event["title"] for event in answer.json()["events"]] == ["e2", "e1"]


async def test_probes_are_200_when_all_is_well_and_503_when_not(service, make_report):
    await service.start()
    assert [(await service.ask(path)).status for path in PROBES] == [200, 200, 200]
    service.world.reports = [make_report("db", Status.CRITICAL)]
    service.world.required = {"db"}
    service.world.clock.advance(60)
    answers = [await service.ask(path) for path in PROBES]
    assert [answer.status for answer in answers] == [503, 503, 503]
    assert [answer.json()["status"] for answer in answers] == ["fail", "fail", "fail"]
    assert answers[2].headers["Content-Type"] == "application/health+json"


async def test_liveness_never_depends_on_a_check(service, make_report):
    service.world.reports = [make_report("db", Status.CRITICAL)]
    service.world.required = {"db"}
    await service.start()
    assert (await service.ask("/livez")).status == 200


async def test_every_answer_names_the_sidecar_and_is_never_cached(service):
    await service.start()
    for path in ("/livez", "/v1/metrics", "/nowhere"):
        headers = (await service.ask(path)).headers
        assert headers["Server"].startswith("vitald/")
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "target", "status", "error"),
    [
        ("GET", "/v2/metrics", 404, "cannot GET /v2/metrics: there is no such resource"),
        ("GET", "/v1/reload", 405, "cannot GET /v1/reload: the method must be POST"),
        ("DELETE", "/v1/stats", 405, "cannot DELETE /v1/stats: the method must be GET,HEAD"),
        ("GET", "/v1/metrics?window=x", 400, "cannot read parameter window:"),
        ("GET", "/v1/metrics?window=2h", 400, "the longest window is"),
        ("GET", "/v1/metrics?window=2h&format=prometheus", 400, "the longest window is"),
        ("GET", "/v1/metrics?nmae=x", 400, "did you mean"),
        ("GET", "/v1/export?window=2h", 400, "the longest window is"),
        ("GET", "/v1/stats?name=x", 400, 'cannot read parameter "name": there is none'),
        ("GET", "/v1/events?limit=all", 400, "cannot read parameter limit:"),
        ("POST", "/v1/checks/gone/run", 404, "cannot run check gone: there is none"),
    ],
)
async def test_an_error_is_json_and_says_what_cannot_be_done(
    service, method, target, status, error
):
    await service.start()
    answer = await service.ask(target, method)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert error in answer.json()["error"]
    assert answer.json()["error"].startswith("cannot ")


async def test_a_wrong_method_is_told_the_right_one(service):
    await service.start()
    assert (await service.ask("/v1/reload")).headers["Allow"] == "POST"


@pytest.mark.parametrize("path", [*QUESTIONS, *PROBES, "/metrics"])
async def test_a_head_request_has_no_body(service, path):
    await service.start()
    answer = await service.ask(path, "HEAD")
    assert answer.status == 200
    assert answer.rest == b""


async def test_a_check_is_run_and_shown_with_what_the_run_found(service, make_report, make_result):
    result = make_result(Status.CRITICAL, "refused", [("connections{check=db}", 3.0)])
    service.world.reports = [make_report("my db/1", raw=result)]
    await service.start()
    answer = await service.ask("/v1/checks/my%20db%2F1/run", "POST")
    assert answer.status == 200
    assert service.runs == ["my db/1"]
    document = answer.json()
    assert document["schema"] == "vitald.check/1"
    assert (document["name"], document["status"]) == ("my db/1", "healthy")
    assert document["result"]["message"] == "refused"


async def test_a_run_that_cannot_be_made_says_why(service, make_report):
    async def refuse(name):
        raise VitaldError(f"cannot run check {name}: it runs already")

    service.world.reports = [make_report("db")]
    await service.start(run_check=refuse)
    answer = await service.ask("/v1/checks/db/run", "POST")
    assert answer.status == 503
    assert answer.json() == {"error": "cannot run check db: it runs already"}


async def test_a_reload_says_what_changed(service):
    await service.start()
    answer = await service.ask("/v1/reload", "POST")
    assert (answer.status, answer.json()) == (200, {"changed": ["checks"]})


async def test_a_refused_reload_names_every_fault(service):
    faults = ["vitald.yaml:3:1: no such key", "vitald.yaml:9:1: no such check"]
    service.reload_result = ConfigError(faults)
    await service.start()
    answer = await service.ask("/v1/reload", "POST")
    assert answer.status == 400
    assert answer.json() == {
        "error": "cannot reload: the configuration has 2 faults; nothing was changed",
        "faults": faults,
    }


async def test_a_reload_goes_on_when_its_client_leaves(service, until):
    begun, leave, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await leave.wait()
        ended.set()
        return []

    await service.start(reload=slow)
    _, writer = await service.connect()
    writer.write(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    writer.transport.abort()
    await until(lambda: not service.connections)
    leave.set()
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_run_that_never_ends_does_not_keep_the_api_from_stopping(service, make_report):
    begun = asyncio.Event()

    async def hang(name):
        begun.set()
        await asyncio.Event().wait()

    service.world.reports = [make_report("db")]
    await service.start(run_check=hang, limits={"shutdown_seconds": 0.05})
    asking = asyncio.create_task(service.raw(b"POST /v1/checks/db/run HTTP/1.1\r\nHost: x\r\n\r\n"))
    await begun.wait()
    await asyncio.wait_for(service.api.stop(), 10)
    assert await asking == b""
    assert list(service.path.parent.iterdir()) == []


async def test_a_second_api_on_the_same_path_is_refused_and_the_first_goes_on(service):
    await service.start()
    second = Api(service.world.dashboard, run_check=service.run_check, reload=service.reload)
    with pytest.raises(StartError, match="another sidecar is running"):
        await second.start(service.path)
    await second.stop()
    assert (await service.ask("/livez")).status == 200


async def test_stopping_leaves_no_file_and_a_new_start_works(service):
    await service.start()
    await service.api.stop()
    assert list(service.path.parent.iterdir()) == []
    await service.start()
    assert (await service.ask("/livez")).status == 200


# The listener for TCP


async def tcp(service, **arguments):
    await service.start(**arguments)
    host, port = await service.api.listen("127.0.0.1", 0)

    async def connect():
        return service.keep(await asyncio.open_connection(host, port))

    return connect


async def test_tcp_answers_the_same_questions(service):
    connect = await tcp(service)
    for path in (*QUESTIONS, *PROBES, "/metrics"):
        assert (await service.ask(path, connect=connect)).status == 200


@pytest.mark.parametrize("target", ["/v1/reload", "/v1/checks/db/run", "/v1/metrics", "/livez"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_tcp_changes_nothing_whatever_the_method(service, make_report, method, target):
    service.world.reports = [make_report("db")]
    service.reload_result = AssertionError("reloaded")
    connect = await tcp(service)
    answer = await service.ask(target, method, connect=connect)
    assert answer.status in {404, 405}
    assert service.runs == []


async def test_tcp_has_no_route_that_is_not_for_reading(service):
    await tcp(service)
    app = service.api._servers[1]._runner.app
    assert {route.method for route in app.router.routes()} == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8127", 200),
        ("127.0.0.1:8127", 200),
        ("[::1]:8127", 200),
        ("10.1.2.3", 200),
        ("web1.internal", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil-localhost", 421),
        ("evil.example:80@localhost", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_tcp_answers_only_to_names_that_no_stranger_can_own(service, host, status):
    connect = await tcp(service, hosts=["web1.internal"])
    request = f"GET /v1/stats HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    data = await service.raw(request.encode(), connect)
    assert int(data.split()[1]) == status
    assert (b"schema" in data) == (status == 200)


async def test_tcp_without_a_host_answers_http_1_0_only(service):
    connect = await tcp(service)
    assert (await service.raw(b"GET /livez HTTP/1.0\r\n\r\n", connect)).split()[1] == b"200"
    data = await service.raw(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", connect)
    assert data.split()[1] in {b"400", b"421"}


async def test_a_tcp_port_that_is_taken_is_refused_in_one_line(service):
    await service.start()
    host, port = await service.api.listen("127.0.0.1", 0)
    with pytest.raises(StartError, match=f"^cannot bind tcp://127.0.0.1:{port}: .*in use"):
        await service.api.listen(host, port)


# The documentation


async def test_every_route_is_documented(service):
    await service.start()
    text = DOCUMENT.read_text(encoding="utf-8")
    app = service.api._servers[0]._runner.app
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    assert {route for route in routes if f"`{route}" not in text} == set()


async def test_an_unknown_error_of_a_run_is_not_shown_to_the_client(service, make_report, caplog):
    async def fail(name):
        raise KeyError("secret")

    service.world.reports = [make_report("db")]
    await service.start(run_check=fail)
    answer = await service.ask("/v1/checks/db/run", "POST")
    assert answer.status == 500
    assert answer.json() == {"error": "cannot answer: an error in the sidecar, see its log"}
    assert "secret" in caplog.text


async def test_a_usage_error_of_a_reload_is_the_clients(service):
    service.reload_result = UsageError("cannot reload: started without a file")
    await service.start()
    answer = await service.ask("/v1/reload", "POST")
    assert (answer.status, answer.json()["error"][:13]) == (400, "cannot reload")
