from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.aggregator.claims import Claims
from vitald.aggregator.interval import Row
from vitald.metric import MetricType

START = 1_700_000_000.0


def counter(name, client, total, count=1, **tags):
    found = {"client": client, **tags} if client else tags
    return Row(MetricType.COUNTER, name, tuple(sorted(found.items())), count=count, sum=total)


def gauge(name, client, *values):
    last = values[-1]
    tags = (("client", client),)
    return Row(
        MetricType.GAUGE, name, tags, count=len(values), min=min(values), max=last, last=last
    )


def rows(client="web-1-aaaa", *, received=(), claimed=(), started=START + 1):
    """One slot of one client: the samples of each datagram that came, and the claims that came."""
    found = []
    if received:
        found.append(counter("vitald.client.received", client, sum(received), len(received)))
    if claimed:
        found.append(gauge("vitald.client.claimed", client, *(c[0] for c in claimed)))
        found.append(gauge("vitald.client.claimed_datagrams", client, *(c[1] for c in claimed)))
        found.append(gauge("vitald.client.started", client, *(started for _ in claimed)))
    return found


class Book:
    """Claims, and the time that each sealed slot brings."""

    def __init__(self, **options):
        self.claims = Claims(START, **options)
        self.end = START

    def seal(self, *slots, seconds=10.0):
        self.end += seconds
        self.claims.settle([row for slot in slots for row in slot], self.end)

    def sums(self, client=None):
        if client is None:
            totals = self.claims.totals()
            return totals.claimed, totals.received, totals.lost
        book = next(book for book in self.claims.books() if book.client == client)
        return book.samples.claimed, book.samples.received, book.samples.lost


@pytest.fixture
def book():
    return Book()


def test_what_is_claimed_and_did_not_come_is_lost(book):
    book.seal(rows(received=(20, 20), claimed=[(60, 3)]))
    book.seal()
    (found,) = book.claims.books()
    assert (found.samples.claimed, found.samples.received, found.samples.lost) == (60, 40, 20)
    assert (found.datagrams.claimed, found.datagrams.received, found.datagrams.lost) == (3, 2, 1)


def test_what_comes_an_interval_late_was_never_lost(book):
    book.seal(rows(received=(20,), claimed=[(60, 3)]))
    assert book.sums("web-1-aaaa") == (60, 20, 0)
    book.seal(rows(received=(20, 20)))
    book.seal()
    assert book.sums("web-1-aaaa") == (60, 60, 0)


def test_what_comes_before_its_claim_hides_no_loss_for_long(book):
    book.seal(rows(received=(20, 50), claimed=[(40, 2)]))  # 50 of the next pass, 20 are lost
    book.seal(rows(received=(10,), claimed=[(90, 3), (100, 4)]))
    assert book.sums("web-1-aaaa") == (100, 80, 0)
    book.seal()
    assert book.sums("web-1-aaaa") == (100, 80, 20)


def test_a_loss_that_was_seen_stays(book):
    book.seal(rows(received=(20,), claimed=[(40, 2)]))
    book.seal(rows(received=()))
    book.seal(rows(received=(500,)))  # its claim is still to come
    assert book.sums("web-1-aaaa") == (540, 520, 20)


def test_a_lost_claim_is_made_good_by_the_next(book):
    book.seal(rows(received=(20,)))
    assert book.sums("web-1-aaaa") == (20, 20, 0)
    book.seal(rows(received=(20,), claimed=[(50, 3)]))
    book.seal()
    assert book.sums("web-1-aaaa") == (50, 40, 10)


def test_everything_may_be_lost_but_the_claims(book):
    book.seal(rows(claimed=[(50, 3)]))
    book.seal()
    assert book.sums("web-1-aaaa") == (50, 0, 50)


def test_what_was_claimed_before_the_book_began_is_not_lost(book):
    before = START - 3600
    book.seal(rows(received=(20, 20), claimed=[(80_000, 900)], started=before))
    assert book.sums("web-1-aaaa") == (40, 40, 0)
    book.seal(rows(received=(30,), claimed=[(80_030, 901)], started=before))
    book.seal()
    assert book.sums("web-1-aaaa") == (70, 70, 0)


def test_what_an_older_client_loses_later_is_lost(book):
    before = START - 3600
    book.seal(rows(received=(20, 20), claimed=[(80_000, 900)], started=before))
    book.seal(rows(received=(10,), claimed=[(80_000, 900), (80_015, 902)], started=before))
    book.seal()
    assert book.sums("web-1-aaaa") == (55, 50, 5)


def test_what_came_behind_the_first_claim_of_an_older_client_is_not_lost_later(book):
    before = START - 3600
    # 30 of the 50 came behind the claim, and are in the next one.
    book.seal(rows(received=(20, 30), claimed=[(80_000, 900)], started=before))
    book.seal(rows(claimed=[(80_030, 901)], started=before))
    book.seal()
    assert book.sums()[2] == 0


def test_a_client_whose_clock_is_ahead_is_taken_for_an_older_one(book):
    ahead = START + 500
    book.seal(rows(received=(20,), claimed=[(80_000, 900)], started=ahead))
    book.seal(rows(received=(20,), claimed=[(80_020, 901)], started=ahead))
    book.seal()
    assert book.sums()[2] == 0


def test_a_client_that_restarts_is_another_one(book):
    book.seal(rows(received=(40,), claimed=[(40, 2)]))
    book.seal(rows("web-1-bbbb", received=(5,), claimed=[(5, 1)], started=START + 15))
    book.seal()
    assert book.sums("web-1-aaaa") == (40, 40, 0)
    assert book.sums("web-1-bbbb") == (5, 5, 0)


def test_refused_datagrams_that_are_taken_back_are_not_lost(book):
    book.seal(rows(received=(20,), claimed=[(20, 1), (50, 2)]))
    book.seal(rows(received=(5,), claimed=[(25, 2)]))
    book.seal()
    assert book.sums("web-1-aaaa") == (25, 25, 0)


class Way:
    """One client that sends in order, and a way that loses some of what it sends."""

    def __init__(self, started):
        self.book = Book()
        self._started = started
        self._sent, self._datagrams = 0, 0
        self._received, self._claims = [], []
        self.lost = 0  # since the book began

    def take(self, event):
        if event == "seal":
            arrived = rows(received=self._received, claimed=self._claims, started=self._started)
            self.book.seal(arrived)
            self._received, self._claims = [], []
        elif event == "claim":
            self._claims.append((self._sent, self._datagrams))
        elif event != "lost claim":
            samples, is_lost = event
            self._sent += samples
            self._datagrams += 1
            if is_lost:
                self.lost += samples
            else:
                self._received.append(samples)

    def forget(self):
        """Begin with a new book, as a sidecar that restarts."""
        self.book, self.lost = Book(), 0
        self._received, self._claims = [], []


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 50), st.booleans()),
        st.sampled_from(["claim", "claim", "lost claim", "seal"]),
    ),
    max_size=60,
)


@given(EVENTS)
def test_a_loss_is_never_too_high_and_known_once_the_client_pauses(events):
    way = Way(START + 1)
    for event in events:
        way.take(event)
        assert way.book.claims.totals().lost <= way.lost
    for event in ("claim", "seal", "seal"):
        way.take(event)
    assert way.book.claims.totals().lost == way.lost


@given(EVENTS, EVENTS, EVENTS)
def test_a_restart_makes_no_loss_and_hides_none_behind_a_pause(before, until_the_pause, after):
    way = Way(START - 3600)
    for event in before:
        way.take(event)
    way.forget()
    for event in [*until_the_pause, "claim", "seal"]:
        way.take(event)
        assert way.book.claims.totals().lost <= way.lost
    way.take("claim")
    known = way.lost
    for event in [*after, "claim", "seal", "seal"]:
        way.take(event)
        assert way.book.claims.totals().lost <= way.lost
    assert way.book.claims.totals().lost >= way.lost - known


def test_clients_are_listed_by_when_they_were_seen_last(book):
    book.seal(rows("b", received=(1,)), rows("a", received=(1,)), rows("c", received=(1,)))
    book.seal(rows("b", received=(1,)))
    assert [each.client for each in book.claims.books()] == ["b", "a", "c"]
    assert [each.last_seen - START for each in book.claims.books()] == [20, 10, 10]


def test_a_client_silent_for_an_hour_is_in_the_totals_only(book):
    book.seal(rows(received=(20,), claimed=[(30, 2)]))
    book.seal(seconds=3590)
    assert len(book.claims.books()) == 1
    book.seal()
    assert book.claims.books() == []
    assert book.sums() == (30, 20, 10)
    assert book.claims.totals().clients == 1


def test_a_client_that_comes_back_is_not_counted_twice(book):
    book.seal(rows(received=(20,), claimed=[(30, 2)]))
    book.seal(seconds=3600)
    book.seal(rows(received=(7,), claimed=[(37, 3)]))
    book.seal(rows(received=(3,), claimed=[(40, 4)]))
    book.seal()
    assert book.sums() == (40, 30, 10)


def test_what_clients_dropped_is_kept_by_reason(book):
    dropped = counter("vitald.client.dropped", "web-1-aaaa", 4, reason="closed")
    book.seal([dropped])
    book.seal([dropped, counter("vitald.client.dropped", "web-1-aaaa", 1, reason="refused")])
    (found,) = book.claims.books()
    assert found.dropped == {"closed": 8, "refused": 1}


def test_reasons_are_bounded(book):
    book.seal(
        [counter("vitald.client.dropped", "web-1-aaaa", 1, reason=str(n)) for n in range(100)]
    )
    (found,) = book.claims.books()
    assert len(found.dropped) == 21
    assert found.dropped["other"] == 80


def test_a_client_more_than_there_is_room_for_takes_the_place_of_a_silent_one():
    book = Book(most=2)
    book.seal(rows("a", received=(5,), claimed=[(6, 2)]))
    book.seal(rows("b", received=(5,), claimed=[(5, 1)]))
    book.seal(rows("c", received=(5,), claimed=[(5, 1)], started=START + 25))
    assert [each.client for each in book.claims.books()] == ["c", "b"]
    book.seal()
    assert book.sums() == (16, 15, 1)


def test_clients_without_room_are_counted_and_make_no_loss_when_they_get_one():
    book = Book(most=2)
    old = [rows(name, received=(5,), claimed=[(5, 1)]) for name in "abc"]
    book.seal(*old)
    assert book.claims.totals().untracked == 1
    assert book.sums() == (10, 10, 0)
    book.seal(rows("c", received=(5,), claimed=[(10, 2)]))
    assert [each.client for each in book.claims.books()] == ["c", "b"]
    book.seal(rows("c", received=(5,), claimed=[(15, 3)]))
    book.seal()
    assert book.claims.totals().untracked == 0
    assert book.sums()[2] == 0


def test_1100_clients_are_bounded(book):
    for turn in range(1, 6):
        book.seal(
            *(rows(f"c{n:04}", received=(9,), claimed=[(10 * turn, turn)]) for n in range(1100))
        )
    assert len(book.claims.books()) == 1000
    totals = book.claims.totals()
    assert (totals.clients, totals.untracked) == (1000, 100)
    # The difference of the last turn has yet to stand for an interval.
    assert (totals.received, totals.lost) == (45_000, 4_000)


def test_stamps_that_the_series_limit_made_nobodys_make_no_loss(book):
    nobodys = counter("vitald.client.received", "", 500, 9, overflow="true")
    book.seal([nobodys], rows(claimed=[(500, 9)]))
    assert book.claims.books() == []


NOBODYS = counter("vitald.client.received", "", 50, 2, overflow="true")


def test_stamps_of_a_known_client_that_became_nobodys_make_no_loss(book):
    book.seal(rows(received=(50, 50), claimed=[(100, 2)]))
    book.seal([NOBODYS], rows(claimed=[(150, 4)]), seconds=900)
    book.seal()
    assert book.sums() == (100, 100, 0)
    book.seal(rows(received=(10,), claimed=[(160, 5)]))
    book.seal(rows(claimed=[(160, 5), (165, 6)]))
    book.seal()
    assert book.sums() == (115, 110, 5)


def test_a_client_that_was_silent_at_the_series_limit_may_have_become_nobodys(book):
    book.seal(rows(received=(50, 50), claimed=[(100, 2)]))
    book.seal([NOBODYS], seconds=900)
    assert [each.client for each in book.claims.books()] == ["web-1-aaaa"]
    book.seal(rows(received=(10,), claimed=[(160, 5)]))
    book.seal()
    assert book.sums() == (110, 110, 0)


def test_a_client_that_began_at_the_series_limit_may_have_been_nobodys(book):
    book.seal([NOBODYS])
    book.seal(rows(received=(10,), claimed=[(60, 3)], started=START + 5))
    book.seal()
    assert book.sums() == (10, 10, 0)


def test_a_client_with_a_series_of_its_own_is_followed_at_the_series_limit(book):
    for turn in range(1, 4):
        book.seal([NOBODYS], rows(received=(20,), claimed=[(30 * turn, turn)]))
    book.seal()
    assert book.sums() == (90, 60, 30)


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan"), 1e300])
def test_numbers_that_no_client_sends_are_left_out(book, value):
    book.seal(rows(received=(value,), claimed=[(value, value)]))
    book.seal()
    assert book.sums() == (0, 0, 0)


def test_a_gauge_that_only_holds_its_value_is_no_claim(book):
    held = gauge("vitald.client.claimed", "web-1-aaaa", 50)
    held.count = 0
    book.seal([held])
    assert book.claims.books() == []


def test_other_types_and_rows_without_a_client_are_not_read(book):
    timer = Row(MetricType.TIMER, "vitald.client.received", (("client", "a"),), count=5, sum=5)
    book.seal([timer, counter("vitald.client.received", "", 5)])
    assert book.claims.books() == []
