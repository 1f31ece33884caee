"""Where data and talk go: data to stdout, talk to stderr, each in the form its reader can take."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TextIO

from vitald.cli.terminal.text import Escaper, escape_lines
from vitald.errors import VitaldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vitald.cli.terminal.table import Block

# Beyond this many rows a drawn table takes longer than anyone reads; aligned text is instant.
DRAWN_ROWS = 1000
HELD_BYTES = 64 * 1024 * 1024


class OutputError(VitaldError):
    """Stdout does not take what is written: its reader has gone (141) or the disk is full (74).

    No OSError, so that nothing on the way up takes it for one of its own.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write the output: {error.strerror or error}")
        self.gone = isinstance(error, BrokenPipeError)
        self.exit_code = 141 if self.gone else 74


class Screen(NamedTuple):
    """What stdout can show. `boxes`: a terminal that can draw. `colour`: it may be coloured."""

    terminal: bool
    boxes: bool
    colour: bool


def screen(
    color: str = "auto",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> Screen:
    """Judge a stream by https://no-color.org, FORCE_COLOR, TERM=dumb and `--color`.

    A colour option wins over both variables, and NO_COLOR over FORCE_COLOR. Colour may be forced
    into a pipe; boxes and cropping to a width never are.
    """
    stream = sys.stdout if stream is None else stream
    environ = os.environ if environ is None else environ
    terminal = _is_terminal(stream)
    boxes = terminal and environ.get("TERM", "") not in {"dumb", ""}
    if color != "auto":
        colour = color == "always"
    elif environ.get("NO_COLOR"):
        colour = False
    else:
        colour = boxes or bool(environ.get("FORCE_COLOR"))
    return Screen(terminal, boxes, colour)


def show(blocks: Sequence[Block], shown_on: Screen) -> None:
    """Print blocks."""
    from vitald.cli.terminal.table import Line, plain

    rows = sum(1 if isinstance(block, Line) else len(block.rows) for block in blocks)
    with _writing() as stream:
        if shown_on.boxes and rows <= DRAWN_ROWS:
            from vitald.cli.terminal.boxes import console, draw

            terminal = console(stream, colour=shown_on.colour)
            terminal.print(draw(blocks, terminal.width))
        else:
            stream.writelines(text + "\n" for text in plain(blocks, colour=shown_on.colour))


def write(text: str) -> None:
    """Print text of vitald's own: nothing in it came from outside."""
    with _writing() as stream:
        stream.write(text)


def copy(chunks: Iterable[bytes]) -> None:
    """Pass bytes on as they are; on a terminal, with everything invisible escaped.

    All of an answer up to `HELD_BYTES` is taken in before the first byte goes out: a sidecar cuts
    off whoever reads as slowly as a pager does, and what fails half-way leaves no half document.
    The output ends with a line feed even where the input does not.
    """
    escaper = Escaper() if _is_terminal(sys.stdout) else None
    last = b"\n"
    for chunk in _held_back(chunks):
        last = chunk[-1:] or last
        # Only the writes are guarded: the chunks come from a socket that has errors of its own.
        with _writing() as stream:
            if escaper is None:
                stream.buffer.write(chunk)
            else:
                stream.write(escaper.feed(chunk))
    with _writing() as stream:
        stream.write("" if escaper is None else escaper.feed(b"", end=True))
        stream.write("" if last == b"\n" else "\n")


def _held_back(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    source = iter(chunks)
    for chunk in source:
        held.append(chunk)
        size += len(chunk)
        if size > HELD_BYTES:
            break
    yield from held
    held.clear()
    yield from source


def finish() -> None:
    """Flush stdout, or raise `OutputError`."""
    if sys.stdout is not None:
        with _writing():
            pass


def discard() -> None:
    """Let the interpreter's own last flush go nowhere, silently."""
    if sys.stdout is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def talk(message: str) -> None:
    """Tell the person something beside the data."""
    if sys.stderr is not None:
        sys.stderr.write(escape_lines(message) + "\n")


@contextmanager
def _writing() -> Iterator[TextIO]:
    try:
        stream = _open(sys.stdout)
        yield stream
        stream.flush()
    except OSError as error:
        raise OutputError(error) from error


def _open(stream: TextIO | None) -> TextIO:
    if stream is None:  # the caller closed it: `vitald metrics >&-`
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False
