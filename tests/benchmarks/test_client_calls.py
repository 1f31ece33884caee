"""A loop runs what its row says, as often as it is divided by."""

from __future__ import annotations

import pytest
from benchmarks.client import calls
from benchmarks.client.calls import GOALS, Cost, Loop, ratios
from benchmarks.client.clients import CALLS, STATSD_INCR, Call, Client
from benchmarks.tables import render


class Recording(Client):
    """A client whose calls are counted; what ran it, too."""

    def __init__(self):
        self.calls = []
        self.settled = []
        super().__init__({"note": self.calls.append}, lambda: self.settled.append(len(self.calls)))


def test_no_more_calls_are_made_than_the_client_has_room_for():
    client = Recording()
    loop = Loop(client, Call("", "note(1)", 50), seconds=0.01)
    client.calls.clear()
    loop.run()
    assert len(client.calls) == 50


def test_what_is_left_to_be_sent_is_sent_before_the_loop_and_after_it():
    client = Recording()
    loop = Loop(client, Call("", "note(1)", 50), seconds=0.01)
    client.calls.clear()
    client.settled.clear()
    loop.run()
    assert client.settled == [0, 50]


def test_ratios_are_those_of_one_round():
    ours = [Cost(10.0, 1.0), Cost(20.0, 1.0)]
    theirs = [Cost(100.0, 1.0), Cost(100.0, 1.0)]
    assert ratios(ours, theirs) == [10.0, 5.0]


def test_a_call_that_is_lost_in_the_noise_is_not_infinitely_cheap():
    assert ratios([Cost(-0.5, 0.0)], [Cost(100.0, 1.0)]) == [100.0]


def test_every_goal_is_about_calls_that_are_measured():
    assert {call for goal in GOALS for call in (goal.call, goal.baseline)} <= set(CALLS)


@pytest.mark.parametrize(("ours", "missed"), [(1.0, 0), (1000.0, len(GOALS))])
def test_what_misses_its_goal_says_so(ours, missed):
    costs = {call.title: [Cost(ours, ours)] * 3 for call in CALLS}
    for goal in GOALS:
        costs[goal.baseline.title] = [Cost(1000.0, 1000.0)] * 3
    _, goals = calls.reports({"3.11": costs, "3.13": costs}, rounds=3, versions="CPython")
    assert render(goals).count("missed") == 2 * missed


def test_a_row_is_called_by_its_client_and_its_call():
    assert STATSD_INCR.title == "statsd: client.incr('jobs')"
    assert len({call.title for call in CALLS}) == len(CALLS)
