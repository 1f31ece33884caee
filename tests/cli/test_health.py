"""`vitald health`: the table, the exit codes, waiting, running, Nagios."""

from __future__ import annotations

import json

import pytest

TABLE = """\
✖ critical: docker, queue, root_disk (3 of 4 checks)

CHECK      TYPE      STATUS         FOR  LAST RUN    TOOK  FLAGS     MESSAGE
docker     docker    ✖ unhealthy  4m10s   12s ago  2.10ms  flapping  cannot reach the daemon: connection refused
main_db    database  ✔ healthy     3d3h    5s ago  12.0ms            SELECT 1 answered
queue      tcp       ? unknown        -         -       -  pending
root_disk  disk      ▲ warning    2h00m   30s ago  41.2µs            / is 85.2% full, warning at 80%
"""  # noqa: E501  this is how it looks

NAGIOS = """\
VITALD CRITICAL - docker: cannot reach the daemon: connection refused; queue: unknown; \
root_disk: / is 85.2% full, warning at 80% | 'docker_time'=0.002100s 'main_db_time'=0.012000s \
'main_db.database_connections_active{check:main_db}'=7 'root_disk_time'=0.000041s \
'root_disk.disk_usage_bytes{path:/}'=91268055040B 'root_disk.disk_usage_percent{path:/}'=85.2%
CRITICAL docker: cannot reach the daemon: connection refused
OK main_db: SELECT 1 answered
UNKNOWN queue: unknown
WARNING root_disk: / is 85.2% full, warning at 80%
"""


def _health(code, *checks):
    words = ("healthy", "warning", "critical", "unknown")
    return {"status": words[code], "code": code, "checks": list(checks)}


def test_the_table_has_the_reason_beside_the_status(vitald, documents):
    assert vitald("health") == (2, TABLE, "")


def test_marks_and_words_remain_without_unicode(vitald, documents):
    shown = vitald("health", PYTHONIOENCODING="ascii").out
    assert "x unhealthy" in shown
    assert "+ healthy" in shown
    assert "! warning" in shown
    assert shown.isascii()


def test_a_terminal_gets_colour_for_the_same_words(terminal, documents):
    session = terminal("health", COLUMNS="130")
    assert session.wait() == 2
    assert "\x1b[1;31m✖ unhealthy" in session.output.decode()
    assert "\x1b[32m✔ healthy" in session.output.decode()


@pytest.mark.parametrize("code", [0, 1, 2, 3])
@pytest.mark.parametrize("output", ["table", "json", "nagios"])
def test_the_exit_code_is_the_status(vitald, sidecar, code, output):
    sidecar.says["GET /v1/health"] = _health(code)
    assert vitald("health", "-o", output).code == code


@pytest.mark.parametrize("code", [None, "0", True, -1, 4, 1.0, [], {}])
def test_a_code_that_is_none_is_unknown(vitald, sidecar, code):
    sidecar.says["GET /v1/health"] = {"status": "healthy", "code": code, "checks": []}
    assert vitald("health").code == 3


@pytest.mark.parametrize(
    "document",
    [{}, {"checks": None}, {"checks": [None, {}]}, {"checks": [{"flags": "x", "since": "?"}]}],
)
def test_a_document_of_another_shape_is_unknown(vitald, sidecar, document):
    sidecar.says["GET /v1/health"] = document
    run = vitald("health")
    assert run.code == 3
    assert "Traceback" not in run.err


def test_json_is_the_sidecars_own(vitald, sidecar, reply):
    body = b'{"status":"warning","code":1,"checks":[], "new": 1}\n'
    sidecar.says["GET /v1/health"] = reply(body)
    assert vitald("health", "-o", "json", text=False) == (1, body, "")


def test_names_are_asked_for(vitald, sidecar, documents):
    vitald("health", "main_db", "root*")
    assert sidecar.asked == ["GET /v1/health?name=main_db&name=root%2A HTTP/1.1"]


def test_an_unknown_name_is_unknown(vitald, sidecar, reply):
    sidecar.says["GET /v1/health"] = reply(b'{"error":"cannot show check x: there is none"}', 404)
    assert vitald("health", "x") == (3, "", "vitald: cannot show check x: there is none\n")


def test_no_sidecar_is_unknown(vitald, tmp_path):
    run = vitald("health", "--socket", str(tmp_path / "none"))
    assert (run.code, run.out) == (3, "")
    assert "hint: start it with: vitald run" in run.err


def test_an_unexpected_failure_is_unknown(vitald, sidecar, reply):
    sidecar.says["GET /v1/health"] = reply(b'{"error":"broken"}', 500)
    assert vitald("health").code == 3


def test_nagios(vitald, documents):
    assert vitald("health", "-o", "nagios") == (2, NAGIOS, "")


def test_nagios_without_trouble(vitald, sidecar):
    sidecar.says["GET /v1/health"] = _health(0, {"name": "a", "code": 0, "message": "fine"})
    shown = "VITALD OK - 1 of 1 checks healthy\nOK a: fine\n"
    assert vitald("health", "-o", "nagios").out == shown


def test_nagios_says_why_it_cannot_know(vitald, tmp_path):
    run = vitald("health", "-o", "nagios", "--socket", str(tmp_path / "none"))
    assert run.code == 3
    assert run.out.startswith("VITALD UNKNOWN - cannot reach the sidecar at ")


def test_no_message_poses_as_performance_data(vitald, sidecar):
    check = {"name": "a'=|b", "code": 2, "message": "x | y=1\nOK", "observations": {"k=|'": 1}}
    sidecar.says["GET /v1/health"] = _health(2, {**check, "duration_seconds": 1})
    assert vitald("health", "-o", "nagios").out == (
        "VITALD CRITICAL - a'=/b: x / y=1\\nOK | 'a'':/b_time'=1.000000s 'a'':/b.k:/'''=1\n"
        "CRITICAL a'=/b: x / y=1\\nOK\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [(7, "7"), (0.5, "0.5"), (-2, "-2"), (1e20, "100000000000000000000"), (1e-9, "0")],
)
def test_performance_data_has_no_exponents(vitald, sidecar, value, written):
    sidecar.says["GET /v1/health"] = _health(0, {"name": "a", "observations": {"x": value}})
    assert f" | 'a.x'={written}\n" in vitald("health", "-o", "nagios").out


def test_run_runs_the_checks_named_before_it_asks(vitald, sidecar, documents, reply):
    for name in ("docker", "main_db", "queue", "root_disk"):
        sidecar.says[f"POST /v1/checks/{name}/run"] = reply(b"{}")
    assert vitald("health", "--run").out == TABLE
    ran = sorted(line for line in sidecar.asked if line.startswith("POST"))
    assert [line.split("/")[3] for line in ran] == ["docker", "main_db", "queue", "root_disk"]
    assert sidecar.asked[-1] == "GET /v1/health HTTP/1.1"


def test_a_run_that_fails_is_unknown(vitald, sidecar, documents, reply):
    assert vitald("health", "--run").code == 3


def test_waiting_ends_with_the_status_that_is_waited_for(vitald, sidecar):
    answers = iter([_health(3), _health(2), _health(0)])
    last = _health(0)
    sidecar.says["GET /v1/health"] = lambda _: next(answers, last)
    run = vitald("health", "--wait", "healthy", "--interval", "10ms")
    assert (run.code, run.err) == (0, "")
    assert len(sidecar.asked) == 4


def test_waiting_survives_a_sidecar_that_is_still_starting(vitald, sidecar, reply):
    answers = iter([reply(raw=b""), reply(raw=b"")])
    sidecar.says["GET /v1/health"] = lambda _: next(answers, _health(0))
    assert vitald("health", "--wait", "healthy", "--interval", "10ms").code == 0


def test_waiting_in_vain_answers_with_the_last_status(vitald, sidecar):
    sidecar.says["GET /v1/health"] = _health(1)
    arguments = ("--wait", "healthy", "--timeout", "50ms", "--interval", "10ms")
    run = vitald("health", *arguments)
    assert run.code == 1
    assert run.err == "vitald: cannot see healthy within 0.05 s: the status is warning\n"


def test_waiting_for_a_sidecar_in_vain_is_unknown(vitald, tmp_path):
    arguments = ("--wait", "healthy", "--timeout", "50ms", "--interval", "10ms")
    run = vitald("health", *arguments, "--socket", str(tmp_path / "none"))
    assert run.code == 3
    assert "the status is unreachable" in run.err
    assert "there is no such socket" in run.err


def test_waiting_does_not_ask_a_hung_sidecar_once_more_at_the_end(vitald, sidecar, hang):
    sidecar.says["GET /v1/health"] = hang
    assert vitald("health", "--wait", "healthy", "--timeout", "50ms").code == 3
    assert len(sidecar.asked) == 1


@pytest.mark.parametrize("extra", [["--wait", "healthy"], ["-o", "nagios"]])
def test_watching_goes_with_neither_waiting_nor_nagios(vitald, extra):
    assert vitald("health", "--watch", *extra).code == 3


def test_watching_goes_on_when_the_sidecar_restarts(terminal, sidecar, reply):
    answers = iter([_health(0), reply(raw=b""), _health(1)])
    sidecar.says["GET /v1/health"] = lambda _: next(answers, _health(2))
    session = terminal("health", "--watch", "--interval", "50ms")
    session.read_until(b"healthy")
    session.read_until(b"asking on")
    session.read_until(b"warning")
    session.type(b"\x03")
    assert session.wait() == 130


def test_watching_json_goes_on_and_says_so_once(terminal, sidecar, reply):
    answers = iter([_health(0), reply(raw=b""), reply(raw=b""), _health(1)])
    sidecar.says["GET /v1/health"] = lambda _: next(answers, _health(2))
    session = terminal("health", "--watch", "--interval", "10ms", "-o", "json")
    shown = (session.read_until(b'"critical"') + session.read_until(b"\n")).decode()
    session.type(b"\x03")
    session.wait()
    assert shown.count("asking on") == 1
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert [line["code"] for line in lines[:2]] == [0, 1]
