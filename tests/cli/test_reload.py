"""`vitald reload`."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["checks.api", "log_level"], "changed: checks.api, log_level\n"),
        ([], "nothing changed\n"),
        (None, "nothing changed\n"),
    ],
)
def test_what_changed_is_said(vitald, sidecar, changed, said):
    sidecar.says["POST /v1/reload"] = {"changed": changed}
    assert vitald("reload") == (0, "", said)


def test_every_fault_of_a_bad_file_is_told(vitald, sidecar, reply):
    faults = ["vitald.yaml:3:1: interval: \x1b[2J is no duration", "vitald.yaml:9:1: no such key"]
    body = {"error": "cannot reload: the configuration has 2 faults", "faults": faults}
    sidecar.says["POST /v1/reload"] = reply(json.dumps(body).encode(), 400)
    told = (
        "vitald: cannot reload: the configuration has 2 faults\n"
        "  vitald.yaml:3:1: interval: \\u001b[2J is no duration\n"
        "  vitald.yaml:9:1: no such key\n"
    )
    assert vitald("reload") == (65, "", told)
