"""Words for people: causes without a traceback, durations, and text without surprises."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a plugin or a server wrote ends up in every `health` document: it is kept short.
MESSAGE_LIMIT = 4096
_MASK = "***"


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return `text` as one line of at most `limit` visible characters.

    White space becomes one blank; other characters that a terminal would act on become U+FFFD.
    """
    line = " ".join(text[: limit * 4].split())
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def duration(seconds: float) -> str:
    """Write seconds the way the configuration does: `340ms`, `1.25s`."""
    if seconds < 0.0095:
        return f"{seconds * 1000:.2g}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.3g}s" if seconds < 100 else f"{seconds:.0f}s"


def plural(number: int, noun: str) -> str:
    """Write `1 container`, `2 containers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cause(error: BaseException) -> str:
    """Return why `error` happened, as the end of "cannot <verb> <thing>: <cause>"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {getattr(error, 'verify_message', error)}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or str(error)
        return f"TLS failed: {one_line(reason).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return _lower_first(error.strerror or str(error))
    # Python 3.10 has a TimeoutError of its own in asyncio.
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) or (
        isinstance(error, OSError) and error.errno == errno.ETIMEDOUT
    ):
        return "timed out"
    if isinstance(error, OSError) and error.errno is not None:
        # asyncio words these as "[Errno 111] Connect call failed ('127.0.0.1', 1)".
        return _lower_first(os.strerror(error.errno))
    return one_line(str(error)) or type(error).__name__


def os_error(error: BaseException) -> OSError | None:
    """Find the system's own error below a library's wrappings, None when there is none."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        if isinstance(item, OSError) and _says_why(item):
            return item
        seen.add(id(item))
        queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return None


def _says_why(error: OSError) -> bool:
    # aiohttp wraps a certificate's error in one of the same class, without the words.
    if isinstance(error, ssl.SSLCertVerificationError):
        return hasattr(error, "verify_message")
    return error.errno is not None or isinstance(error, TimeoutError)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every secret masked, as it stands and as URLs write it."""
    spellings = {
        spelling
        for secret in secrets
        if secret
        for spelling in (
            *(secret, unquote(secret)),
            *(quote(secret), quote(secret, safe=""), quote_plus(secret)),
        )
    }
    for spelling in sorted(filter(None, spellings), key=len, reverse=True):
        text = text.replace(spelling, _MASK)
    return text


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
