"""`tcp`: a service accepts a connection, and perhaps says what it should."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from vitald.checks.base import Isolation, Observation, Result
from vitald.checks.deadline import working_time
from vitald.checks.latency import LatencyOptions, judge_latency
from vitald.checks.resolver import lookup
from vitald.checks.tls import Tls, TlsFilesError, TlsOptions, abort, days_left
from vitald.checks.wording import cause, duration, one_line
from vitald.clock import Clock, SystemClock
from vitald.status import Status, worst

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from vitald.checks.resolver import AddressInfo
    from vitald.config.options import CheckOptions

# An expected text stands at the beginning of what a service says.
REPLY_LIMIT = 64 * 1024


class Options(LatencyOptions, TlsOptions):
    """Settings of a `tcp` check."""

    url: str = Field(
        description="Where to connect: tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH."
    )
    send: str | None = Field(default=None, description="Text to send once connected.")
    expect: str | None = Field(
        default=None,
        description="Text that must come back; without `send`, the service must say it first.",
    )

    @field_validator("url")
    @classmethod
    def _target(cls, url: str) -> str:
        parse_target(url)
        return url


class TcpCheck:
    """Connect, and talk if told to. What cannot be reached or says something else is unhealthy."""

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "loop"
    connectivity: ClassVar[bool] = True
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str,
        send: str | None = None,
        expect: str | None = None,
        warning: float | None = None,
        critical: float | None = None,
        tls_verify: bool = True,
        tls_ca: str | None = None,
        tls_warning_days: float = 14,
        tls_critical_days: float = 3,
        timeout: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._url = url
        self._scheme, self._host, self._port = parse_target(url)
        self._send = (send or "").encode()
        self._expect = (expect or "").encode()
        self._warning, self._critical = warning, critical
        self._tls = Tls(
            verify=tls_verify,
            ca=tls_ca,
            warning_days=tls_warning_days,
            critical_days=tls_critical_days,
        )
        self._timeout = working_time(timeout)
        self._clock = clock or SystemClock()
        self._did = "answered" if expect else "connected"
        self._doing = "connecting"

    async def run(self) -> Result:
        self._doing = "connecting"
        try:
            return await asyncio.wait_for(self._look(), self._timeout)
        except TlsFilesError as error:
            return Result(Status.UNKNOWN, str(error), self._observations())
        except asyncio.TimeoutError:
            fault = f"no answer within {duration(self._timeout)} while {self._doing}"
        except OSError as error:
            fault = cause(error)
        return Result(Status.CRITICAL, f"cannot reach {self._url}: {fault}", self._observations())

    def _observations(
        self, seconds: float | None = None, days: float | None = None
    ) -> tuple[Observation, ...]:
        found = (Observation("tcp_response_seconds", seconds),)
        if self._scheme != "tls":
            return found
        return (*found, Observation("tcp_tls_days_left", days))

    async def _look(self) -> Result:
        context = self._tls.context() if self._scheme == "tls" else None
        started = self._clock.now().monotonic
        reader, writer = await self._connect(context)
        try:
            reply = await self._talk(reader, writer)
            instant = self._clock.now()
            days = days_left(writer.get_extra_info("ssl_object"), instant.wall)
        finally:
            # Nothing is left to say: no orderly end that a hung peer could drag out.
            abort(writer.transport)
        seconds = instant.monotonic - started
        findings = [
            (
                Status.HEALTHY,
                f"{'answered' if self._expect else 'connected'} in {duration(seconds)}",
            ),
            self._judge_reply(reply),
            judge_latency(seconds, self._warning, self._critical),
            self._tls.judge(days),
        ]
        status = worst([status for status, _ in findings])
        message = ", ".join(words for _, words in findings if words)
        return Result(status, message, self._observations(seconds, days))

    async def _connect(
        self, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._scheme == "unix":
            return await asyncio.open_unix_connection(self._host)
        addresses = await lookup(self._host, self._port)
        connection = await self._first_open(addresses)
        if context is None:
            return await asyncio.open_connection(sock=connection)
        self._doing = "in the TLS handshake"
        return await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname=self._host
        )

    async def _first_open(self, addresses: Sequence[AddressInfo]) -> socket.socket:
        """Connect to the first address that accepts.

        Each address gets its share of the time, so that a silent first one (IPv6 without a route)
        leaves some for the next. Raises the last address' OSError.
        """
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in addresses:
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            try:
                await asyncio.wait_for(
                    loop.sock_connect(connection, address), self._timeout / len(addresses)
                )
            except (OSError, asyncio.TimeoutError) as error:
                connection.close()
                failure = error if isinstance(error, OSError) else TimeoutError("timed out")
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if self._send:
            self._doing = "sending"
            writer.write(self._send)
            await writer.drain()
        reply = bytearray()
        self._doing = "waiting for the expected text"
        while self._expect not in reply and len(reply) < REPLY_LIMIT:
            data = await reader.read(REPLY_LIMIT - len(reply))
            if not data:
                break
            reply += data
        return bytes(reply)

    def _judge_reply(self, reply: bytes) -> tuple[Status, str]:
        if self._expect in reply:
            return Status.HEALTHY, ""
        expected = one_line(self._expect.decode(), 100)
        got = one_line(reply.decode("utf-8", "replace"), 100)
        return Status.CRITICAL, f"expected {expected!r}, got {got!r}"


def parse_target(url: str) -> tuple[str, str, int]:
    """Return scheme, host (or socket path) and port of a `tcp` check's URL. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return "unix", parts.path, 0
    if parts.scheme not in {"tcp", "tls"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("write tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a user, a query or a fragment has no meaning here")
    if not parts.port:
        raise ValueError("the port is missing")
    return parts.scheme, parts.hostname, parts.port
