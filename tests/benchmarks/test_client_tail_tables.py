"""The summary names the worst call, and says when it misses the goal."""

from __future__ import annotations

from benchmarks.client import tail_tables
from benchmarks.client.clients import INC, SET
from benchmarks.client.tails import LOADS, titles
from benchmarks.tables import render

ROUNDS = [[0.1, 1.0, 2.0, 30.0], [0.3, 3.0, 4.0, 10.0], [0.2, 2.0, 3.0, 20.0]]


def found(**worse):
    tails = {load.title: dict.fromkeys(titles(), ROUNDS) for load in LOADS}
    for load in tails.values():
        load.update({title: [[0.1, 1.0, 2.0, p9999]] for title, p9999 in worse.items()})
    return {"3.11": dict.fromkeys(tail_tables.STATES, tails)}


def test_quantiles_of_rounds_are_their_medians():
    assert tail_tables.median_quantiles(ROUNDS) == [0.2, 2.0, 3.0, 20.0]


def test_the_worst_row_is_the_one_with_the_longest_rarest_wait():
    rows = {"vitald: a": [[1.0, 5.0]], "vitald: b": [[1.0, 7.0]], "statsd: c": [[1.0, 9.0]]}
    assert tail_tables.worst(rows, "vitald: ") == ("vitald: b", 7.0)


def test_a_call_that_is_worth_a_spin_has_its_own_for_a_floor():
    assert tail_tables.floor(SET.title).endswith(SET.statement)
    assert tail_tables.floor(INC.title) == "nothing"


def test_a_worst_call_below_the_goal_is_just_shown():
    summary, *_ = tail_tables.reports(found(**{SET.title: 99.0}), rounds=3, versions="CPython")
    assert "missed" not in render(summary)
    assert {row[-1] for row in summary.rows} == {"client.set('users', 'u1')"}


def test_a_worst_call_that_misses_the_goal_says_so_for_each_load_and_state():
    summary, *_ = tail_tables.reports(found(**{INC.title: 100.0}), rounds=3, versions="CPython")
    assert render(summary).count("100, missed") == len(LOADS) * len(tail_tables.STATES)


def test_every_load_and_state_has_a_table_with_every_row():
    _, *details = tail_tables.reports(found(), rounds=3, versions="CPython")
    assert len(details) == len(LOADS) * len(tail_tables.STATES)
    assert {len(detail.rows) for detail in details} == {len(titles())}
