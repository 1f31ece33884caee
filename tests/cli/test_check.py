"""`vitald check`: one run, with everything about it."""

from __future__ import annotations

import json

import pytest

TEXT = """\
CHECK     root_disk
type      disk
status    ▲ warning
for       2h00m
flags     none
message   / is 85.2% full, warning at 80%
took      41.2µs
this run  ✖ critical
it found  / is 95% full

OBSERVATION                       VALUE
disk_usage_bytes{path=/}    unavailable
disk_usage_percent{path=/}        95.0%
"""


@pytest.fixture
def answer(documents):
    check = documents["health"]["checks"][3]
    readings = {"disk_usage_bytes{path=/}": None, "disk_usage_percent{path=/}": 95}
    found = {"status": "critical", "code": 2, "message": "/ is 95% full", "observations": readings}
    return {
        "schema": "vitald.check/1",
        "time": documents["health"]["time"],
        **check,
        "result": found,
    }


def test_what_the_run_found_stands_beside_what_the_check_stands_at(vitald, sidecar, answer):
    sidecar.says["POST /v1/checks/root_disk/run"] = answer
    assert vitald("check", "root_disk") == (0, TEXT, "")


def test_json_is_the_sidecars_own(vitald, sidecar, answer):
    sidecar.says["POST /v1/checks/root_disk/run"] = answer
    assert json.loads(vitald("check", "root_disk", "-o", "json").out) == answer


def test_a_name_of_any_characters_is_one_path_segment(vitald, sidecar):
    vitald("check", "a/../b?c")
    assert sidecar.asked[1] == "POST /v1/checks/a%2F..%2Fb%3Fc/run HTTP/1.1"


def test_an_unknown_check_is_wrong_usage(vitald, sidecar, reply):
    answer = reply(b'{"error":"cannot run check x: there is none"}', 404)
    sidecar.says["POST /v1/checks/x/run"] = answer
    sidecar.says["GET /v1/health"] = {"checks": [{"name": "disk"}, {"name": "main_db"}]}
    told = "vitald: cannot run check x: there is none; configured: disk, main_db\n"
    assert vitald("check", "x") == (64, "", told)


def test_an_unknown_check_is_told_the_nearest_name(vitald, sidecar, reply):
    answer = reply(b'{"error":"cannot run check dsk: there is none"}', 404)
    sidecar.says["POST /v1/checks/dsk/run"] = answer
    sidecar.says["GET /v1/health"] = {"checks": [{"name": "disk"}, {"name": "main_db"}]}
    assert vitald("check", "dsk").err.endswith('there is none; did you mean "disk"?\n')


@pytest.mark.parametrize("document", [{}, {"result": None}, {"result": {}, "observations": 5}])
def test_a_document_of_another_shape_is_shown_as_far_as_it_goes(vitald, sidecar, document):
    sidecar.says["POST /v1/checks/x/run"] = document
    run = vitald("check", "x")
    assert (run.code, run.err) == (0, "")


def test_a_hostile_message_is_escaped(vitald, sidecar):
    sidecar.says["POST /v1/checks/x/run"] = {"name": "x", "message": "\x1b]0;owned\x07\nmore"}
    assert "message  \\u001b]0;owned\\u0007\\nmore\n" in vitald("check", "x").out
