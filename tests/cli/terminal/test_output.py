"""What stdout can show, and how bytes are passed on."""

from __future__ import annotations

import io
import sys

import pytest

from vitald.cli.terminal import output
from vitald.cli.terminal.output import OutputError, Screen, copy, screen, talk


class _Stream(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "environ", "color", "boxes", "colour"),
    [
        (True, {"TERM": "xterm"}, "auto", True, True),
        (False, {"TERM": "xterm"}, "auto", False, False),
        (True, {"TERM": "dumb"}, "auto", False, False),
        (True, {}, "auto", False, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, "auto", True, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, "auto", True, True),
        (False, {"FORCE_COLOR": "1"}, "auto", False, True),
        (False, {"FORCE_COLOR": ""}, "auto", False, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, "auto", False, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, "always", True, True),
        (True, {"TERM": "xterm", "FORCE_COLOR": "1"}, "never", True, False),
        (False, {}, "always", False, True),
    ],
)
def test_the_screen_is_judged_by_stream_environment_and_option(
    terminal, environ, color, boxes, colour
):
    judged = screen(color, _Stream(terminal=terminal), environ)
    assert judged == Screen(terminal, boxes, colour)


def test_a_closed_stream_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert screen("auto", stream, {"TERM": "xterm"}) == Screen(
        terminal=False, boxes=False, colour=False
    )


def _piped(monkeypatch):
    # In the test itself: between set-up and call the runner puts its own stdout in place.
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, write_through=True))
    return raw


def test_nothing_goes_out_before_everything_is_there(monkeypatch):
    stdout = _piped(monkeypatch)

    def chunks():
        yield b"half"
        assert stdout.getvalue() == b""
        raise ValueError

    with pytest.raises(ValueError):
        copy(chunks())
    assert stdout.getvalue() == b""


def test_what_is_too_long_to_hold_back_is_passed_on(monkeypatch):
    stdout = _piped(monkeypatch)
    monkeypatch.setattr(output, "HELD_BYTES", 10)

    def chunks():
        yield b"12345678"
        assert stdout.getvalue() == b""
        yield b"12345678"
        assert stdout.getvalue() == b"1234567812345678"
        yield b"abc"
        assert stdout.getvalue() == b"1234567812345678abc"

    copy(chunks())
    assert stdout.getvalue() == b"1234567812345678abc\n"


@pytest.mark.parametrize(
    ("error", "gone", "code"),
    [(BrokenPipeError(32, "Broken pipe"), True, 141), (OSError(28, "No space"), False, 74)],
)
def test_an_error_of_stdout_is_not_taken_for_another(monkeypatch, error, gone, code):
    class Broken(_Stream):
        def write(self, _text):
            raise error

    monkeypatch.setattr(sys, "stdout", Broken(terminal=False))
    with pytest.raises(OutputError) as caught:
        output.write("x")
    assert (caught.value.gone, caught.value.exit_code) == (gone, code)


def test_talk_is_escaped_and_keeps_its_lines(capsys):
    talk("one\ntwo \x1b[2J")
    assert capsys.readouterr() == ("", "one\ntwo \\u001b[2J\n")


def test_talk_without_stderr_is_silent(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    talk("x")
