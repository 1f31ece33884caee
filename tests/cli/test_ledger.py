"""`vitald ledger`: where every line went, and whether the sum is right."""

from __future__ import annotations

import json

import pytest

TEXT = """\
2,000 lines = 1,985 aggregated + 13 rejected + 2 shed  ✔ balanced

TOTAL                                         COUNT
datagrams received                            1,050
bytes received                              64.0KiB
dropped by the kernel                             3
values                                        2,100
internal lines                                   40
late                                              0
events                                            1
service checks                                    0
series                               321 of 100,000
overflowed into the overflow series               0

FATE      REASON        LINES
rejected  bad_value         9
rejected  unknown_type      4
shed      series_limit      2
kept      clamped_rate      1

LISTENER              DATAGRAMS    BYTES  KERNEL DROPPED  ERRORS
udp://127.0.0.1:8125      1,050  64.0KiB               3       0

LAST REJECTED  LINE
bad_value      jobs:x|c
unknown_type   \\u001b[2Jevil:1|zzz
"""


def test_the_text_and_the_last_rejected_lines_escaped(vitald, documents):
    assert vitald("ledger") == (0, TEXT, "")


def test_a_terminal_never_sees_a_rejected_line_raw(terminal, documents):
    session = terminal("ledger")
    assert session.wait() == 0
    assert b"\\u001b[2Jevil" in session.output
    assert b"\x1b[2J" not in session.output


def test_json_is_the_sidecars_own(vitald, documents):
    assert json.loads(vitald("ledger", "-o", "json").out) == documents["ledger"]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"lines": 2001}, "✖ off by 1"),
        ({"aggregated": 1990}, "✖ off by -5"),
        ({"rejected": {}, "shed": {}}, "✖ off by 15"),
        ({"lines": None}, "? not accounted for"),
        ({"aggregated": "1985"}, "? not accounted for"),
    ],
)
def test_a_ledger_that_does_not_balance_says_so(vitald, sidecar, documents, changes, verdict):
    sidecar.says["GET /v1/ledger"] = {**documents["ledger"], **changes}
    assert vitald("ledger").out.splitlines()[0].endswith(verdict)


@pytest.mark.parametrize(
    "document",
    [{}, {"rejected": [], "shed": 5, "listeners": {"a": None}, "last_rejected": [None, {}]}],
)
def test_a_document_of_another_shape_is_shown_as_far_as_it_goes(vitald, sidecar, document):
    sidecar.says["GET /v1/ledger"] = document
    run = vitald("ledger")
    assert (run.code, run.err) == (0, "")


def test_what_clients_report_is_shown(vitald, sidecar, documents):
    reported = {"dropped": 5, "sent": {"datagrams": 10}}
    sidecar.says["GET /v1/ledger"] = {**documents["ledger"], "client_reported": reported}
    lines = vitald("ledger").out.splitlines()
    at = lines.index("REPORTED BY CLIENTS")
    assert lines[at + 1 : at + 3] == ["dropped               5", "sent datagrams       10"]
