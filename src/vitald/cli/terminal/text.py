"""Text that strangers wrote, made safe and measured for a terminal.

Names, tags and messages come from whoever can send a packet. A control sequence in them could
rewrite the screen or type for the user, and a bidirectional control could show another name than
the one that is there. Every string on its way to a terminal passes through `escape` or, in bulk
output, through `Escaper`; nothing else decides what is safe.
"""

from __future__ import annotations

import codecs

# The error handler for streams that cannot take every character; registered below.
ASCII_ERRORS = "vitald_ascii"

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ASCII = {"✔": "+", "▲": "!", "✖": "x", "µ": "u", "…": "...", "·": "-", "─": "-", "→": "->"}
_ASCII |= dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True))


def escape(text: str) -> str:
    r"""Return `text` with every character that is not plainly visible written as an escape.

    That is: controls (C0, DEL, C1), format characters (bidirectional marks, zero-width ones, tag
    characters), separators other than the space, surrogates and unassigned code points. The form
    is JSON's (`\n`, `\u001b`), so that JSON shown on a terminal stays JSON.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def escape_lines(text: str) -> str:
    """Do as `escape` does, but keep line feeds: for documents that are made of lines."""
    return "\n".join(map(escape, text.split("\n")))


class Escaper:
    """Escape a stream of UTF-8 bytes that arrives in pieces cut anywhere."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def feed(self, data: bytes, *, end: bool = False) -> str:
        return escape_lines(self._decoder.decode(data, end))


def width(text: str) -> int:
    """Count the terminal cells of escaped text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in {"W", "F"} else 1 for char in text
    )


def _escaped(char: str) -> str:
    short = _SHORT.get(char)
    if short is not None:
        return short
    code = ord(char)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    piece = error.object[error.start : error.end]
    return "".join(_ASCII.get(char) or _escaped(char) for char in piece), error.end


codecs.register_error(ASCII_ERRORS, _in_ascii)
