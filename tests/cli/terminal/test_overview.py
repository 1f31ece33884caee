"""What `top` shows, without a terminal."""

from __future__ import annotations

import pytest

from vitald.cli.terminal.overview import TREND, Overview, sparkline
from vitald.cli.terminal.table import plain


def _row(name="jobs", rate=1.0):
    return {"name": name, "type": "counter", "tags": {}, "rate": rate, "count": 1, "sum": 1}


def _fed(*looks, **parts):
    overview = Overview()
    for rows in looks or [[]]:
        overview.feed(parts.get("stats", {}), parts.get("health", {}), {"metrics": rows})
    return overview


def _text(overview, rows=30):
    return "\n".join(plain(overview.blocks(rows)))


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([0, 0], ""),
        ([None], ""),
        ([1], "█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([7, None, 0], "█ ▁"),
        ([-5, 5], "▁█"),
    ],
)
def test_sparkline(values, drawn):
    assert sparkline(values) == drawn


def test_a_trend_grows_with_every_look_and_is_bounded():
    overview = _fed(*([_row(rate=1.0)] for _ in range(TREND + 5)))
    assert _text(overview).count("█") == TREND


def test_a_series_that_left_is_forgotten():
    overview = _fed([_row("a", 1.0)], [_row("b", 1.0)], [_row("a", 1.0)])
    assert _text(overview).count("█") == 1


def test_a_held_view_takes_nothing_in():
    overview = _fed([_row("first")])
    assert overview.press(" ") is False
    overview.feed({}, {}, {"metrics": [_row("second")]})
    assert "first" in _text(overview)
    assert "held" in _text(overview)
    assert overview.press(" ") is True
    overview.feed({}, {}, {"metrics": [_row("second")]})
    assert "second" in _text(overview)


def test_s_goes_round_all_orders():
    overview = Overview()
    seen = [overview.sort]
    while overview.press("s") and overview.sort not in seen:
        seen.append(overview.sort)
    assert seen == ["rate", "p99", "count", "name"]


def test_a_lost_sidecar_is_told_until_it_is_back():
    overview = _fed([_row()])
    overview.lose("cannot reach \x1b[2J")
    assert "cannot reach \\u001b[2J" in _text(overview)
    assert "jobs" in _text(overview)
    overview.feed({}, {}, {})
    assert "cannot reach" not in _text(overview)


def test_only_checks_in_trouble_are_listed_the_worst_first():
    words = ("healthy", "warning", "critical", "unknown")
    checks = [
        {"name": f"check_{word}", "status": word, "code": code} for code, word in enumerate(words)
    ]
    health = {"status": "critical", "code": 2, "checks": checks}
    listed = [
        row.split()[0] for row in _text(_fed(health=health)).splitlines() if row[:6] == "check_"
    ]
    assert listed == ["check_critical", "check_unknown", "check_warning"]


@pytest.mark.parametrize("rows", [1, 10, 24, 60])
def test_the_page_fits_the_screen_as_far_as_the_rest_leaves_room(rows):
    overview = _fed([_row(f"series_{number}") for number in range(100)])
    lines = _text(overview, rows).splitlines()
    assert len(lines) <= max(rows, 12)


@pytest.mark.parametrize("junk", [None, [], {}, "x", 5, [None], [{}]])
def test_documents_of_any_shape_are_taken(junk):
    stats = {
        "cpu": junk,
        "ledger": junk,
        "forwarders": junk,
        "engine": junk,
        "uptime_seconds": junk,
    }
    overview = Overview()
    overview.feed(stats, {"checks": junk, "status": junk}, {"metrics": junk, "host": junk})
    assert _text(overview)


def test_the_client_that_lost_the_most_is_on_the_page():
    clients = [{"client": f"web-{n}-aa", "lost": n, "claimed": 100} for n in range(3)]
    total = {"clients": 3, "lost": 3, "claimed": 300}
    page = _text(_fed(stats={"ledger": {"clients": clients, "clients_total": total}}))
    assert "3 clients: 3 of 300 samples lost on the way (1.0%)" in page
    assert "web-2-aa: 2 of 100 samples lost on the way (2.0%)" in page
    assert "web-1-aa" not in page
