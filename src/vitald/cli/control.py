"""The control socket's client: HTTP/1.1 over a Unix socket, one request per connection.

Written out because importing the standard library's client costs more than the whole request.
An answer is handed over in pieces as it arrives. It is complete or an error: where the sidecar
dies in the middle of a body, the lengths no longer add up and `UnreachableError` says so.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vitald import __version__
from vitald.errors import UnreachableError, UsageError, VitaldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

Query = list[tuple[str, str]]

# Seconds of silence after which a sidecar counts as hung.
TIMEOUT = 5.0
_CHUNK = 65536
_MAX_LINE = 8192
_MAX_HEADERS = 64
# A document that is parsed is held in memory whole; one that is passed on has no limit.
_MAX_DOCUMENT = 256 * 1024 * 1024
_MAX_ERROR = 65536

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class NoAnswerError(UnreachableError):
    """Nobody answers, or not to the end; `hint` says what may help.

    `is_hung`: somebody has the socket, but takes no connection or says nothing.
    """

    def __init__(self, message: str, hint: str = "", *, is_hung: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_hung = is_hung


class RefusedError(VitaldError):
    """The sidecar answered, and refused; `faults` says why in detail where it does."""

    def __init__(self, message: str, exit_code: int, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.faults = faults


class Answer:
    """One answer; close it, or read it to the end."""

    def __init__(self, sidecar: Sidecar, stream: BufferedReader) -> None:
        self._sidecar = sidecar
        self._stream = stream
        self.status = self._read_status()
        self._headers = self._read_headers()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body's pieces; raise `UnreachableError` where it is cut."""
        try:
            yield from self._body()
        except (OSError, ValueError) as error:
            raise self._sidecar.unreachable(error) from error
        finally:
            self._stream.close()

    def body(self, limit: int = _MAX_DOCUMENT) -> bytes:
        """Return the whole body, or raise when it is longer than `limit` bytes."""
        parts, total = [], 0
        for chunk in self.chunks():
            total += len(chunk)
            if total > limit:
                raise self._sidecar.unreachable(f"its answer is longer than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def _read_status(self) -> int:
        version, _, rest = self._line().partition(b" ")
        code = rest[:3]
        if not version.startswith(b"HTTP/1.") or not code.isdigit() or len(code) != 3:
            raise ValueError("something other than a sidecar answers there")
        return int(code)

    def _read_headers(self) -> dict[bytes, bytes]:
        headers: dict[bytes, bytes] = {}
        for _ in range(_MAX_HEADERS):
            line = self._line()
            if not line:
                return headers
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        raise ValueError(f"it sent more than {_MAX_HEADERS} headers")

    def _body(self) -> Iterator[bytes]:
        if self._headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            while length := _hexadecimal(self._line().partition(b";")[0]):
                yield from self._exactly(length)
                self._line()
            while self._line():
                pass
        elif b"content-length" in self._headers:
            yield from self._exactly(_decimal(self._headers[b"content-length"]))
        else:
            while chunk := self._stream.read1(_CHUNK):
                yield chunk

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            chunk = self._stream.read1(min(length, _CHUNK))
            if not chunk:
                raise ValueError("its answer was cut short")
            length -= len(chunk)
            yield chunk

    def _line(self) -> bytes:
        line = self._stream.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise ValueError(
                "its answer was cut short"
                if len(line) <= _MAX_LINE
                else "something other than a sidecar answers there"
            )
        return line.rstrip(b"\r\n")


class Sidecar:
    """A sidecar behind its control socket. `timeout` is the longest silence in seconds."""

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        self.path = path
        self._timeout = timeout

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Ask; raise `UnreachableError` when nobody answers, `RefusedError` on an HTTP error."""
        return self._request("GET", path, query, self._timeout)

    def post(self, path: str, timeout: float | None = None) -> Answer:
        """Have something done; the errors are those of `get`."""
        return self._request("POST", path, None, self._timeout if timeout is None else timeout)

    def awake(self) -> None:
        """Raise `UnreachableError` within the time-out when nobody answers.

        For use before a request whose answer may rightly take longer.
        """
        with suppress(RefusedError, UsageError):
            self.get("/livez").body(_MAX_ERROR)

    def document(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Return the JSON object at `path`."""
        return self.parse(self.get(path, query).body())

    def parse(self, body: bytes) -> dict[str, Any]:
        """Read a body that must be one JSON object."""
        document = _json(body)
        if not isinstance(document, dict):
            raise self.unreachable("its answer is no JSON object")
        return document

    def unreachable(self, cause: str | Exception) -> NoAnswerError:
        """Return the error that says why this sidecar has no answer."""
        text, hint = (cause, "") if isinstance(cause, str) else _cause(cause)
        is_hung = isinstance(cause, (TimeoutError, BlockingIOError))
        message = f"cannot reach the sidecar at {self.path}: {text}"
        return NoAnswerError(message, hint, is_hung=is_hung)

    def _request(self, method: str, path: str, query: Query | None, timeout: float) -> Answer:
        head = (
            f"{method} {path}{_query(query)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"User-Agent: vitald/{__version__}\r\n"
            + ("Content-Length: 0\r\n\r\n" if method == "POST" else "\r\n")
        )
        try:
            # The stream keeps the descriptor open until it is closed itself.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(timeout)
                sock.connect(self.path)
                sock.sendall(head.encode("ascii"))
                stream = sock.makefile("rb")
            try:
                answer = Answer(self, stream)
            except BaseException:
                stream.close()
                raise
        except TimeoutError as error:
            message = f"cannot reach the sidecar at {self.path}: no answer within {timeout:g} s"
            raise NoAnswerError(message, _HUNG, is_hung=True) from error
        except (OSError, ValueError) as error:
            raise self.unreachable(error) from error
        if answer.status >= 400:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: Answer) -> VitaldError:
        document = _json(answer.body(_MAX_ERROR))
        if not isinstance(document, dict):
            document = {}
        message = document.get("error")
        if not isinstance(message, str) or not message:
            message = f"cannot ask the sidecar: it answers {answer.status}"
        faults = document.get("faults")
        if isinstance(faults, list) and faults:
            return RefusedError(message, 65, [str(fault) for fault in faults])
        if answer.status < 500:
            return UsageError(message)
        return RefusedError(message, UnreachableError.exit_code)


def quoted(text: str) -> str:
    """Percent-encode a path segment or a query value."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "replace")
    )


def _query(query: Query | None) -> str:
    if not query:
        return ""
    return "?" + "&".join(f"{quoted(key)}={quoted(value)}" for key, value in query)


def _json(body: bytes) -> object:
    import json

    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 18:
        raise ValueError("its answer has no valid length")
    return int(text)


def _hexadecimal(text: bytes) -> int:
    text = text.strip()
    if not 0 < len(text) <= 15 or text.strip(b"0123456789abcdefABCDEF"):
        raise ValueError("its answer has no valid length")
    return int(text, 16)


_START = "start it with: vitald run; if it runs, name its socket: --socket or $VITALD_SOCKET"
_HUNG = "it runs but is stopped or hangs: see vitald doctor"
_CAUSES = {
    errno.ENOENT: ("there is no such socket", _START),
    errno.ECONNREFUSED: ("nobody listens on the socket", _START),
    errno.EACCES: ("permission denied", "the socket is its owner's alone: ask as that user"),
    errno.EAGAIN: ("it is too busy to take a connection", _HUNG),
    errno.ECONNRESET: ("it hung up", ""),
    errno.EPIPE: ("it hung up", ""),
}


def _cause(error: Exception) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "it fell silent in the middle of its answer", _HUNG
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return str(error), ""
    return _CAUSES.get(number) or (os.strerror(number), "")
