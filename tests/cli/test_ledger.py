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

3 clients: 1,204 of 80,900 samples lost on the way (1.5%)
web-71-ab12cd: 1,204 of 80,000 samples lost on the way (1.5%)
CLIENT         CLAIMED  RECEIVED   LOST  DROPPED BY ITSELF  LAST SEEN
web-71-ab12cd   80,000    78,796  1,204                  0         0s
mail-9-0f3e21      500       500      0                 42        40s

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


def _clients(*entries, **total):
    sums = {"clients": len(entries), "claimed": 0, "received": 0, "lost": 0, **total}
    return {"clients": list(entries), "clients_total": sums}


def _client(name, lost, claimed=1000):
    return {"client": name, "claimed": claimed, "received": claimed - lost, "lost": lost}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (_clients(), []),
        (
            _clients(_client("web-1-aa", 0), claimed=1000),
            ["1 client: 1,000 samples, none lost on the way"],
        ),
        (
            _clients(_client("web-1-aa", 20), lost=20, claimed=1000),
            ["web-1-aa: 20 of 1,000 samples lost on the way (2.0%)"],
        ),
        (
            _clients(_client("web-1-aa", 1, 5_000_000), lost=1, claimed=5_000_000),
            ["web-1-aa: 1 of 5,000,000 samples lost on the way (under 0.1%)"],
        ),
        (  # what clients that are gone lost is in the total only
            _clients(_client("web-1-aa", 0), clients=40, lost=7, claimed=1000),
            ["40 clients: 7 of 1,000 samples lost on the way (0.7%)"],
        ),
        (
            _clients(*(_client(f"web-{n}-aa", n) for n in range(5)), lost=10, claimed=5000),
            [
                "5 clients: 10 of 5,000 samples lost on the way (0.2%)",
                "web-4-aa: 4 of 1,000 samples lost on the way (0.4%)",
                "web-3-aa: 3 of 1,000 samples lost on the way (0.3%)",
                "web-2-aa: 2 of 1,000 samples lost on the way (0.2%)",
            ],
        ),
    ],
)
def test_what_was_lost_on_the_way_is_said_in_words(vitald, sidecar, documents, section, said):
    sidecar.says["GET /v1/ledger"] = {**documents["ledger"], **section}
    lines = vitald("ledger").out.splitlines()
    assert [line for line in lines if "on the way" in line] == said


def test_of_many_clients_the_worst_are_shown(vitald, sidecar, documents):
    section = _clients(*(_client(f"web-{n}-aa", n) for n in range(100)), lost=1, claimed=1)
    sidecar.says["GET /v1/ledger"] = {**documents["ledger"], **section}
    lines = vitald("ledger").out.splitlines()
    assert "CLIENTS: the worst 20 of 100" in lines
    assert len([line for line in lines if line.startswith("web-") and ":" not in line]) == 20


@pytest.mark.parametrize("name", ["web\x1b[2J", "web\u202e"])
def test_a_clients_name_reaches_no_terminal_raw(vitald, sidecar, documents, name):
    section = _clients(_client(name, 5), lost=5, claimed=1000)
    sidecar.says["GET /v1/ledger"] = {**documents["ledger"], **section}
    assert name not in vitald("ledger").out


@pytest.mark.parametrize(
    "section",
    [
        {"clients": 5, "clients_total": 5},
        {"clients": [None, {}], "clients_total": {"clients": 2}},
        {"clients": [{"client": 7, "lost": "x", "dropped": [1]}], "clients_total": {"clients": 1}},
        {"clients": [{"lost": 5, "claimed": 0}], "clients_total": {"clients": 1, "lost": 5}},
    ],
)
def test_clients_of_another_shape_are_shown_as_far_as_they_go(vitald, sidecar, section):
    sidecar.says["GET /v1/ledger"] = section
    run = vitald("ledger")
    assert (run.code, run.err) == (0, "")
