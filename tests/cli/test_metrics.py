"""`vitald metrics`."""

from __future__ import annotations

import json
import locale

import pytest

TABLE = """\
METRIC                 TAGS             TYPE              COUNT        RATE      VALUE   MEAN    P50    P95    P99      MAX
memory_usage_bytes                      gauge                 6      0.10/s    3.00GiB      -      -      -      -  3.00GiB
render                 page=home        timer               120         2/s          -  150ms  120ms  300ms  1.45s    1.50s
task_duration_seconds  queue=mail       distribution      1,234      20.6/s          -  125ms  100ms  340ms  1.25s    3.25s
tasks_created_total    queue=mail,slow  counter       1,234,567  20,576.1/s  1,234,567      -      -      -      -        -
visitors                                set                  50      0.83/s         42      -      -      -      -        -
"""  # noqa: E501  this is how it looks

FORMATS = ["json", "ndjson", "csv", "prometheus"]


def _row(**changes):
    return {
        "name": "jobs",
        "type": "counter",
        "tags": {},
        "count": 1,
        "rate": 1,
        "sum": 1,
        **changes,
    }


def test_the_table(vitald, documents):
    assert vitald("metrics") == (0, TABLE, "")


def test_the_table_on_a_terminal_has_the_same_text_in_boxes_and_colour(terminal, documents):
    session = terminal("metrics", COLUMNS="140")
    assert session.wait() == 0
    shown = session.output.decode()
    assert "\x1b[1mMETRIC" in shown
    assert "───" in shown
    for word in TABLE.split():
        assert word in shown


def test_no_color_on_a_terminal_means_no_escape_sequence_at_all(terminal, documents):
    session = terminal("metrics", NO_COLOR="1")
    assert session.wait() == 0
    assert b"\x1b" not in session.output
    assert "───".encode() in session.output


def test_a_dumb_terminal_gets_plain_text(terminal, documents):
    session = terminal("metrics", TERM="dumb")
    assert session.wait() == 0
    assert session.output.decode().replace("\r\n", "\n") == TABLE


def test_forced_colour_in_a_pipe_keeps_the_columns(vitald, documents):
    shown = vitald("metrics", FORCE_COLOR="1").out
    assert shown.startswith("\x1b[1mMETRIC\x1b[0m                 \x1b[1mTAGS\x1b[0m")
    assert "─" not in shown


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ([], "sort=name"),
        (["jobs.*", "tasks_*"], "name=jobs.%2A&name=tasks_%2A&sort=name"),
        (["-l", "queue=mail", "-l", "slow"], "tag=queue%3Dmail&tag=slow%3D%2A&sort=name"),
        (["--type", "timer", "--type", "set"], "type=timer&type=set&sort=name"),
        (["--window", "5m"], "window=300&sort=name"),
        (["--sort", "p99", "--top", "3"], "sort=p99&top=3"),
        (["--top", "3"], "top=3"),
        (["-o", "json"], "format=json"),
        (["-o", "csv", "--sort", "rate"], "sort=rate&format=csv"),
    ],
)
def test_what_is_asked_of_the_sidecar(vitald, sidecar, documents, arguments, query):
    assert vitald("metrics", *arguments).code == 0
    assert sidecar.asked == [f"GET /v1/metrics?{query} HTTP/1.1"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_other_format_is_the_sidecars_bytes(vitald, sidecar, reply, form):
    body = "größe\x1b 1\r\n\x00\xff".encode("latin-1") * 30_000 + b"\n"
    sidecar.says["GET /v1/metrics"] = reply(body, pieces=5)
    run = vitald("metrics", "-o", form, text=False)
    assert (run.code, run.out, run.err) == (0, body, "")


def test_an_output_without_a_last_line_feed_gets_one(vitald, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply(b"{}")
    assert vitald("metrics", "-o", "json").out == "{}\n"


def test_an_empty_output_stays_empty(vitald, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply(b"")
    assert vitald("metrics", "-o", "ndjson") == (0, "", "")


@pytest.mark.parametrize("name", ["de_DE.UTF-8", "C", "C.UTF-8"])
def test_json_depends_neither_on_the_locale_nor_on_the_width(vitald, documents, name):
    run = vitald("metrics", "-o", "json", LC_ALL=name, COLUMNS="20", PYTHONIOENCODING="latin-1")
    assert json.loads(run.out) == documents["metrics"]
    assert locale  # the locale's number format has no way in: nothing here is formatted


def test_json_on_a_terminal_has_no_control_characters(terminal, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply('{"a":"\u202e\u009b\x7f"}\n'.encode())
    session = terminal("metrics", "-o", "json")
    assert session.wait() == 0
    assert session.output == b'{"a":"\\u202e\\u009b\\u007f"}\r\n'


def test_an_answer_that_is_cut_prints_nothing(vitald, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply(
        raw=b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"metrics":['
    )
    run = vitald("metrics", "-o", "json")
    assert (run.code, run.out) == (69, "")
    assert "its answer was cut short" in run.err


def test_no_series_is_said_on_stderr(vitald, sidecar):
    sidecar.says["GET /v1/metrics"] = {"metrics": []}
    assert vitald("metrics", "x*") == (0, "", "no series matches\n")


def test_a_window_that_is_not_full_is_said_on_stderr(vitald, sidecar):
    sidecar.says["GET /v1/metrics"] = {
        "metrics": [_row()],
        "complete": False,
        "covered_seconds": 20,
    }
    assert vitald("metrics").err == "note: the window is not full yet, it covers 20.0s\n"


def test_before_the_first_interval_ends_the_answer_says_so(vitald, sidecar):
    sidecar.says["GET /v1/metrics"] = {"metrics": [], "complete": False, "covered_seconds": 0}
    assert vitald("metrics").err.splitlines() == [
        "no series matches",
        "note: the first interval has not ended yet, ask again in a few seconds",
    ]


@pytest.mark.parametrize("sort", ["min", "p90"])
def test_a_column_that_is_sorted_by_is_shown(vitald, documents, sort):
    assert f" {sort.upper()} " in vitald("metrics", "--sort", sort).out.splitlines()[0]


def test_hostile_names_tags_and_types_stay_on_their_line(vitald, sidecar):
    row = _row(
        name="a\x1b]0;x\x07\n\u202eb", tags={"k\r": "v\x9b", "big": "大"}, type="cou\x08nter"
    )
    sidecar.says["GET /v1/metrics"] = {"metrics": [row]}
    lines = vitald("metrics").out.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[:3] == [
        "a\\u001b]0;x\\u0007\\n\\u202eb",
        "k\\r=v\\u009b,big=大",
        "cou\\u0008nter",
    ]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metrics": None},
        {"metrics": {}},
        {"metrics": [None, 5, "x"]},
        {"metrics": [{}]},
        {"metrics": [{"name": None, "type": 5, "tags": [], "quantiles": "x", "count": {}}]},
        {"metrics": [_row(sum=10**400, count=1e308, rate="fast")]},
        {"metrics": [_row(tags={"a": None, "b": 5, "c": {}})]},
        {"metrics": [_row(quantiles={"0.5": None, "0.99": True, "x": 1})], "complete": "no"},
    ],
)
def test_a_document_of_another_shape_is_shown_as_far_as_it_goes(vitald, sidecar, document):
    sidecar.says["GET /v1/metrics"] = document
    run = vitald("metrics")
    assert run.code == 0
    assert "Traceback" not in run.err


def test_numbers_that_are_no_numbers_are_marked(vitald, sidecar, reply):
    body = b'{"metrics":[{"name":"a","type":"counter","count":NaN,"rate":Infinity,"sum":"1"}]}'
    sidecar.says["GET /v1/metrics"] = reply(body)
    assert vitald("metrics").out.splitlines()[1].split() == ["a", "counter", "?", "?", "?"]


def test_watching_json_prints_one_document_a_line_until_interrupted(terminal, documents, sidecar):
    session = terminal("metrics", "--watch", "--interval", "10ms", "-o", "json")
    for _ in range(3):
        assert b'"shown": 5}\r\n' in session.read_until(b"\r\n")
    session.type(b"\x03")
    assert session.wait() == 130
    assert len(sidecar.asked) >= 3


def test_watching_a_table_redraws_in_place_and_gives_the_cursor_back(terminal, documents):
    session = terminal("metrics", "--watch", "--interval", "10ms")
    session.read_until(b"visitors")
    assert b"\x1b[1A" in session.read_until(b"visitors")  # back up over the old table
    session.type(b"\x03")
    assert session.wait() == 130
    assert session.output.rstrip().endswith(b"\x1b[?25h")
    assert b"Traceback" not in session.output
