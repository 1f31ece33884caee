"""`vitald top` on a real terminal."""

from __future__ import annotations

import signal
import sys
import termios

import pytest

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


@pytest.fixture
def top(terminal, documents):
    """Start the live view and wait until it shows."""
    session = terminal("top", "--interval", "50ms")
    session.before = session.local_modes()
    session.read_until(b"visitors")
    return session


def _is_tidy(session):
    assert session.local_modes() == session.before
    assert session.output.rindex(LEAVE) > session.output.rindex(ENTER)
    assert session.output.rstrip().endswith(SHOW_CURSOR) or SHOW_CURSOR in session.output


def test_it_shows_machine_checks_and_series(top):
    shown = top.output
    for word in (b"vitald on web1", b"usage 12.5%", b"unhealthy", b"render", b"balanced"):
        assert word in shown


def test_it_never_takes_more_lines_than_the_screen_has(top):
    frame = top.output.rpartition(b"\x1b[H")[2]
    assert frame.count(b"\n") <= 30


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x04", 0), (b"\x03", 130)])
def test_leaving_gives_the_terminal_back(top, key, code):
    top.type(key)
    assert top.wait() == code
    _is_tidy(top)


def test_being_terminated_gives_the_terminal_back(top):
    top.process.send_signal(signal.SIGTERM)
    assert top.wait() == 128 + signal.SIGTERM
    _is_tidy(top)


def test_keys_are_not_echoed(top):
    assert not top.local_modes() & (termios.ECHO | termios.ICANON)


def test_s_asks_for_another_order(top, sidecar):
    assert "sort=rate" in sidecar.asked[-1]
    top.type(b"s")
    top.read_until(b"sort: p99")
    top.type(b"q")
    top.wait()
    assert any("sort=p99" in line for line in sidecar.asked)


def test_space_holds_the_view(top):
    top.type(b" ")
    top.read_until(b"held")
    top.type(b" ")
    top.type(b"q")
    assert top.wait() == 0


def test_arrows_and_other_keys_do_nothing(top):
    top.type(b"\x1b[A")
    top.type(b"z")
    top.read_until(b"space hold")
    top.type(b"q")
    assert top.wait() == 0


def test_it_can_be_suspended_and_brought_back(terminal, documents):
    shell = terminal(command=["bash", "--norc", "--noprofile", "-i"], PS1="READY> ")
    shell.read_until(b"READY> ")
    shell.type(f"{sys.executable} -m vitald top\n".encode())
    shell.read_until(b"space hold")
    shell.type(b"\x1a")
    assert LEAVE in shell.read_until(b"Stopped")
    shell.type(b"stty -a\n")
    assert b" echo " in shell.read_until(b"susp = ^Z") + shell.read_until(b"READY> ")
    shell.type(b"fg\n")
    shell.read_until(ENTER)
    shell.read_until(b"space hold")
    shell.type(b"q")
    shell.read_until(b"READY> ")
    shell.type(b"exit $?\n")
    assert shell.wait() == 0


def test_where_nobody_could_bring_it_back_it_does_not_stop(top):
    top.type(b"\x1a")
    top.read_until(ENTER)
    top.read_until(b"space hold")
    top.type(b"q")
    assert top.wait() == 0


def test_a_sidecar_that_goes_is_told_and_the_view_stays(top, sidecar):
    sidecar.close()
    top.read_until(b"cannot reach the sidecar")
    top.read_until(b"render")
    top.type(b"q")
    assert top.wait() == 0


def test_without_a_terminal_one_view_is_printed(vitald, documents):
    run = vitald("top")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("vitald on web1, up 1h02m, engine python")
    assert "\x1b" not in run.out
