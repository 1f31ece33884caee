from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vitald.checks.base import Result
from vitald.checks.state import (
    HISTORY,
    CheckState,
    Policy,
    advance,
    change_percent,
    expire,
    withhold,
)
from vitald.clock import Instant
from vitald.status import SEVERITY, Status, worst

H, W, C, U = Status.HEALTHY, Status.WARNING, Status.CRITICAL, Status.UNKNOWN
POLICY = Policy(fail_after=3, recover_after=2, stale_after=90.0)


def at(seconds: float) -> Instant:
    return Instant(1_700_000_000.0 + seconds, 5000.0 + seconds)


def run(raws, policy=POLICY, state=None):
    """Feed results one second apart; return the last state and what was told, by second."""
    state = state or CheckState()
    told = {}
    for second, raw in enumerate(raws):
        state, transition = advance(state, Result(raw, raw.word), at(second), policy)
        if transition is not None:
            told[second] = transition
    return state, told


def test_a_check_that_never_ran_is_pending_and_unknown():
    state = CheckState()
    assert (state.status, state.flags, state.since) == (U, ("pending",), None)


@pytest.mark.parametrize("first", list(Status))
def test_the_first_result_is_reported_at_once(first):
    state, told = run([first])
    assert (state.status, state.flags, state.since) == (first, (), at(0).wall)
    assert (told[0].before, told[0].after) == (None, first)


def test_it_fails_after_three_bad_results_in_a_row():
    state, told = run([H, C, C])
    assert (state.status, state.streak, list(told)) == (H, 2, [0])
    state, told = run([H, C, C, C])
    assert (state.status, state.since) == (C, at(3).wall)
    assert (told[3].before, told[3].after, told[3].message) == (H, C, "critical")


def test_one_good_result_between_bad_ones_starts_the_count_again():
    state, told = run([H, C, C, H, C, C])
    assert state.status is H
    assert list(told) == [0]


def test_it_recovers_after_two_good_results_in_a_row():
    assert run([C, H])[0].status is C
    assert run([C, H, C, H])[0].status is C
    state, told = run([C, H, H])
    assert (state.status, told[2].before, told[2].after) == (H, C, H)


def test_bad_results_of_different_kinds_count_together_and_the_latest_is_reported():
    assert run([H, W, C, W])[0].status is W
    assert run([H, W, W, C])[0].status is C
    assert run([C, W, H])[0].status is H


def test_a_confirmed_outage_outranks_a_check_that_cannot_look():
    # critical -> unknown is the better direction: two results are enough.
    assert run([C, U, U])[0].status is U
    assert run([W, U, U])[0].status is W
    assert run([W, U, U, U])[0].status is U


def test_with_one_and_one_every_result_is_reported():
    policy = Policy(fail_after=1, recover_after=1)
    for raws in ([H, C], [H, C, W], [H, W, U, H]):
        assert run(raws, policy)[0].status is raws[-1]


def test_changes_weigh_more_the_newer_they_are():
    oldest = (C, *[H] * 20)
    newest = (*[H] * 20, C)
    assert change_percent(oldest) == pytest.approx(0.8 / 20 * 100)
    assert change_percent(newest) == pytest.approx(1.2 / 20 * 100)
    assert change_percent((H, C) * 10 + (H,)) == pytest.approx(100.0)
    assert change_percent((H,)) == 0.0
    assert change_percent(()) == 0.0


def test_alternating_results_flap_and_show_the_worst():
    state, told = run([H, C] * 6)
    assert state.flapping
    assert state.status is C
    assert [(t.before, t.after, t.flapping) for t in told.values()] == [
        (None, H, False),
        (H, C, True),
    ]


def test_flapping_starts_above_fifty_percent_exactly_as_the_weights_say():
    raws = [H, C] * 11
    first = next(
        number
        for number in range(1, len(raws))
        if change_percent(tuple(raws[: number + 1][-HISTORY:])) > 50
    )
    _, told = run(raws)
    assert [second for second, t in told.items() if t.flapping] == [first]


def test_while_it_flaps_it_does_not_get_better_and_nothing_more_is_told():
    state, _ = run([H, C] * 11)
    state, told = run([H, H, H, H], state=state)
    assert (state.status, state.flapping, told) == (C, True, {})


def test_when_it_is_steady_again_both_changes_are_told_at_once():
    state, _ = run([H, C] * 11)
    state, told = run([H] * HISTORY, state=state)
    (only,) = told.values()
    assert (only.before, only.after, only.flapping) == (C, H, False)
    assert (state.status, state.flags) == (H, ())


def test_a_flapping_check_can_still_get_worse():
    state, _ = run([H, W] * 8)
    assert (state.flapping, state.status) == (True, W)
    state, told = run([C, C, C], state=state)
    assert (state.flapping, state.status) == (True, C)
    assert (told[2].before, told[2].after) == (W, C)


def test_without_results_it_becomes_stale_and_that_is_told_once():
    state, _ = run([H])
    assert expire(state, at(90), POLICY) == (state, None)
    stale, transition = expire(state, at(90.5), POLICY)
    assert (stale.status, stale.flags, stale.since) == (U, ("stale",), at(90.5).wall)
    assert (transition.before, transition.after, transition.stale) == (H, U, True)
    assert expire(stale, at(200), POLICY) == (stale, None)


def test_the_next_result_ends_being_stale_and_that_is_told():
    state, _ = run([H])
    state, _ = expire(state, at(91), POLICY)
    state, transition = advance(state, Result(H, "back"), at(100), POLICY)
    assert (state.status, state.flags, state.since) == (H, (), at(0).wall)
    assert (transition.before, transition.after, transition.message) == (U, H, "back")


def test_only_the_monotonic_clock_makes_stale():
    state, _ = run([H])
    later_on_the_wall = Instant(at(0).wall + 10_000, at(1).monotonic)
    assert expire(state, later_on_the_wall, POLICY)[1] is None


def test_a_pending_check_does_not_become_stale():
    assert expire(CheckState(), at(10_000), POLICY) == (CheckState(), None)


def test_a_withheld_check_keeps_its_status_until_the_parents_failure_is_settled():
    state, _ = run([H])
    held = withhold(state, "network", at(10), settled=False)
    assert (held.status, held.flags, held.parent) == (H, ("dep",), "network")
    held = withhold(held, "network", at(20), settled=True)
    assert (held.status, held.flags, held.since) == (U, ("dep",), at(20).wall)
    held = withhold(held, "network", at(30), settled=True)
    assert held.since == at(20).wall


def test_a_withheld_check_does_not_become_stale():
    state, _ = run([H])
    held = withhold(state, "network", at(10), settled=True)
    assert expire(held, at(10_000), POLICY) == (held, None)


def test_the_end_of_being_withheld_is_not_told_when_nothing_else_changed():
    state, _ = run([H])
    held = withhold(state, "network", at(10), settled=True)
    state, transition = advance(held, Result(H, "fine"), at(500), POLICY)
    assert (state.status, state.flags, state.since, transition) == (H, (), at(0).wall, None)


def test_a_withheld_check_that_never_ran_stays_pending():
    held = withhold(CheckState(), "network", at(0), settled=True)
    assert (held.status, held.flags) == (U, ("pending", "dep"))


statuses = st.sampled_from(list(Status))


@given(st.lists(statuses, max_size=HISTORY))
def test_the_share_of_changes_is_a_percentage(history):
    assert 0.0 <= change_percent(tuple(history)) <= 100.0 + 1e-9


@given(st.lists(statuses, min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_a_reported_status_is_always_one_that_was_seen(raws, fail_after, recover_after):
    state, told = run(raws, Policy(fail_after, recover_after))
    assert state.status in raws
    assert all(transition.after in raws for transition in told.values())


@given(st.lists(statuses, max_size=40), statuses)
def test_enough_equal_results_are_always_reported_in_the_end(raws, last):
    state, _ = run([*raws, *[last] * (HISTORY + 1)])
    assert (state.status, state.flapping, state.streak) == (last, False, 0)


@given(st.lists(statuses, min_size=1, max_size=80))
def test_a_transition_is_told_exactly_when_what_is_shown_changes(raws):
    state = CheckState()
    for second, raw in enumerate(raws):
        after, transition = advance(state, Result(raw, "x"), at(second), POLICY)
        shown, now_shown = (state.settled, state.flapping), (after.settled, after.flapping)
        assert (transition is not None) == (shown != now_shown)
        state = after


class CheckLife(RuleBasedStateMachine):
    """Any order of results, silence and failing parents, against the laws of the module."""

    @initialize(fail_after=st.integers(1, 4), recover_after=st.integers(1, 4))
    def begin(self, fail_after, recover_after):
        self.policy = Policy(fail_after, recover_after, stale_after=90.0)
        self.state = CheckState()
        self.raws = []
        self.now = 0.0
        self.shown = None

    @rule(raw=statuses, seconds=st.floats(0, 60))
    def a_result_comes(self, raw, seconds):
        self.now += seconds
        before = self.state
        self.state, transition = advance(before, Result(raw, "x"), at(self.now), self.policy)
        self.raws.append(raw)
        assert not self.state.parent
        assert self.state.stale_since is None
        assert self.state.seen == at(self.now)
        if before.settled is not None and not self.state.flapping and not before.flapping:
            self._obeys_the_counts(before.settled, raw)
        if before.flapping and self.state.flapping:
            assert worst([self.state.settled, before.settled]) is self.state.settled
        if transition is not None:
            assert transition.after is self.state.status
            assert transition.flapping is self.state.flapping

    def _obeys_the_counts(self, settled, raw):
        def in_a_row(worse):
            count = 0
            for earlier in reversed(self.raws):
                ahead = SEVERITY.index(earlier) < SEVERITY.index(settled)
                if earlier is settled or ahead is not worse:
                    break
                count += 1
            return count

        if self.state.settled is settled:
            assert in_a_row(worse=True) < self.policy.fail_after or raw is settled
        else:
            worse = SEVERITY.index(raw) < SEVERITY.index(settled)
            needed = self.policy.fail_after if worse else self.policy.recover_after
            assert self.state.settled is raw
            assert in_a_row(worse=worse) >= needed

    @rule(seconds=st.floats(0, 300))
    def time_passes(self, seconds):
        self.now += seconds
        before = self.state
        self.state, transition = expire(before, at(self.now), self.policy)
        silent = before.seen is not None and self.now + 5000.0 - before.seen.monotonic
        expected = bool(silent and silent > 90.0 and not before.parent)
        assert ("stale" in self.state.flags) == expected or before.stale_since is not None
        assert (transition is not None) == (
            self.state.stale_since is not None and before.stale_since is None
        )

    @rule(settled=st.booleans())
    def a_parent_fails(self, settled):
        before = self.state
        self.state = withhold(before, "parent", at(self.now), settled=settled)
        assert "dep" in self.state.flags
        assert self.state.settled is before.settled
        assert self.state.history == before.history

    @precondition(lambda self: self.raws)
    @invariant()
    def what_is_reported_was_seen(self):
        assert self.state.settled in self.raws
        assert len(self.state.history) == min(len(self.raws), HISTORY)

    @invariant()
    def flapping_follows_its_own_history(self):
        percent = change_percent(self.state.history)
        if percent > 50:
            assert self.state.flapping
        if percent < 25:
            assert not self.state.flapping

    @invariant()
    def unknown_is_shown_whenever_nothing_is_known(self):
        flags = self.state.flags
        if "pending" in flags or "stale" in flags:
            assert self.state.status is Status.UNKNOWN


TestCheckLife = CheckLife.TestCase
