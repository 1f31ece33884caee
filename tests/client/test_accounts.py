from __future__ import annotations

import threading

from vitald.client.accounts import Accounts, Tally


def test_a_tally_adds_up_what_many_threads_add():
    tally = Tally()

    def work():
        for _ in range(20_000):
            tally.add(2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.value() == 160_000
    assert len(tally._buffer) == 0


def test_a_tally_may_be_added_to_while_it_is_read():
    tally = Tally()
    tally.add(1)
    with tally._lock:  # a reader, interrupted by a signal handler
        for _ in range(5000):
            tally.add(1)
        assert tally.value() == 0
    assert tally.value() == 5001


def test_reasons_without_a_drop_are_left_out():
    accounts = Accounts()
    accounts.drop("bad_value", 0)
    assert accounts.drops() == {}
    accounts.drop("bad_value", 2)
    accounts.drop("closed", 1)
    assert accounts.drops() == {"bad_value": 2, "closed": 1}
