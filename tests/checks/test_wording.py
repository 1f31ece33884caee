from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitald.checks.wording import cause, duration, one_line, os_error, plural, without_secrets


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0, "0ms"), (0.0004, "0.4ms"), (0.0042, "4.2ms"), (0.0095, "10ms")),
        *((0.34, "340ms"), (0.9996, "1s"), (1.25, "1.25s"), (61.5, "61.5s"), (3600, "3600s")),
    ],
)
def test_a_duration_is_written_as_people_write_it(seconds, text):
    assert duration(seconds) == text


@given(st.text(), st.integers(min_value=1, max_value=100))
def test_one_line_is_one_visible_bounded_line(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert "\n" not in line


def test_one_line_keeps_what_can_be_read():
    assert one_line(" a\tb\r\n c ") == "a b c"
    assert one_line("größe 12 µs") == "größe 12 µs"
    assert one_line("\x1b[2J") == "\ufffd[2J"
    assert one_line("x" * 20, 5) == "xxxx…"


def test_numbers_take_a_plural():
    assert (plural(1, "container"), plural(0, "container")) == ("1 container", "0 containers")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "[Errno 111] x"), "connection refused"),
        (OSError(errno.ENOENT, "y", "/z"), "no such file or directory"),
        (TimeoutError(), "timed out"),
        (asyncio.TimeoutError(), "timed out"),
        (OSError(errno.ETIMEDOUT, "x"), "timed out"),
        (socket.gaierror(socket.EAI_NONAME, "Name unknown"), "name unknown"),
        (ValueError("two\nlines"), "two lines"),
        (KeyError(), "KeyError"),
    ],
    ids=repr,
)
def test_a_cause_is_short_and_has_no_number(error, text):
    found = cause(error)
    assert found == text
    assert "Errno" not in found
    assert "\n" not in found


def test_a_fault_of_tls_is_named_without_its_place_in_openssl():
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"
    assert cause(error) == "TLS failed: wrong version number"


def test_the_systems_own_error_is_found_below_what_wraps_it():
    inner = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    by_argument = RuntimeError("outer", RuntimeError("aborted", inner))
    by_cause = RuntimeError("outer")
    by_cause.__cause__ = inner
    by_context = RuntimeError("outer")
    by_context.__context__ = by_cause
    assert os_error(by_argument) is os_error(by_cause) is os_error(by_context) is inner
    circle = RuntimeError("outer")
    circle.__cause__ = ValueError(circle)
    assert os_error(circle) is None


SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=30)


@given(SECRETS, st.sampled_from([str, quote, quote_plus, lambda text: quote(text, safe="")]))
def test_no_secret_is_left_however_it_was_quoted(secret, spelling):
    text = f"cannot log in as {spelling(secret)}: refused"
    masked = without_secrets(text, [secret])
    assert spelling(secret) not in masked or spelling(secret) in "cannot log in as ***: refused"


def test_a_quoted_secret_hides_its_plain_spelling_too():
    assert without_secrets("password p@ss refused", ["p%40ss"]) == "password *** refused"


def test_an_empty_secret_masks_nothing():
    assert without_secrets("text", ["", ""]) == "text"
