"""One HTTP exchange for the `http` check, bounded in time, size and redirects."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from vitald.checks.resolver import lookup
from vitald.checks.tls import abort

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Mapping

    from aiohttp.connector import Connection

    from vitald.checks.tls import Tls

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
# Bodies are judged as they come: a compressed one could swell to any size.
_HEADERS = {"User-Agent": "vitald", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: at most `redirects` are followed, `max_body` bytes read of an answer."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    redirects: int = 5
    max_body: int = 1024 * 1024
    unix_socket: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer of the chain. `body` is cut at `max_body`, then `whole` is False."""

    status: int
    reason: str
    body: bytes
    whole: bool
    charset: str
    encoding: str
    tls: ssl.SSLObject | None


class Progress:
    """What an exchange is waiting for, in words that follow "while"; read after a time-out."""

    def __init__(self) -> None:
        self.doing = "connecting"


async def fetch(request: Request, tls: Tls, progress: Progress) -> Answer:
    """Send `request` and return the last answer. The caller bounds the time.

    Every run connects anew, because a kept connection would hide that no new one is possible.
    Raises aiohttp.ClientError, OSError, TlsFilesError, ValueError (a URL that leads nowhere).
    """
    connector = _connector(request.unix_socket)
    try:
        async with aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session:
            return await _follow(session, request, tls, progress)
    finally:
        if isinstance(connector, _Connector):
            connector.abort()


async def _follow(
    session: aiohttp.ClientSession,
    request: Request,
    tls: Tls,
    progress: Progress,
) -> Answer:
    url, method, body = URL(request.url), request.method, request.body
    headers: Mapping[str, str] = {**_HEADERS, **request.headers}
    for left in range(request.redirects, -1, -1):
        progress.doing = f"waiting for {shown(url)}"
        context = tls.context() if url.scheme == "https" else True
        async with session.request(
            method, url, headers=headers, data=body, ssl=context, allow_redirects=False
        ) as response:
            target = _target(response) if request.redirects else None
            if target is None:
                progress.doing = "reading the body"
                return await _answer(response, request.max_body)
            if response.status == 303 or (response.status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), None
            if target.origin() != url.origin():
                # They may hold secrets, and another host is not who they are meant for.
                headers, body = _HEADERS, None
            url = target
        if not left:
            raise ValueError(f"more than {request.redirects} redirects")
    raise AssertionError("the last turn returns or raises")


def _target(response: aiohttp.ClientResponse) -> URL | None:
    location = response.headers.get(hdrs.LOCATION)
    if response.status not in _REDIRECTS or not location:
        return None
    target = response.url.join(URL(location))
    if target.scheme not in {"http", "https"} or not target.host:
        raise ValueError(f"redirected to {target.scheme or 'nowhere'}")
    return target


async def _answer(response: aiohttp.ClientResponse, limit: int) -> Answer:
    body = bytearray()
    whole = True
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk[: limit - len(body)]
        if len(body) >= limit:
            whole = response.content.at_eof()
            break
    tls = response.tls if isinstance(response, _Response) else None
    return Answer(
        status=response.status,
        reason=response.reason or "",
        body=bytes(body),
        whole=whole,
        charset=response.charset or "utf-8",
        encoding=response.headers.get(hdrs.CONTENT_ENCODING, "").lower(),
        tls=tls,
    )


def shown(url: URL | str) -> str:
    """Return the URL without what may be secret: user, password, query, fragment."""
    url = URL(url)
    return str(url.with_user(None).with_query(None).with_fragment(None))


class _Response(aiohttp.ClientResponse):
    """Remembers the TLS connection; a short answer has given it back when its headers are read."""

    tls: ssl.SSLObject | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        if connection.transport is not None:
            self.tls = connection.transport.get_extra_info("ssl_object")
        return await super().start(connection)


def _connector(unix_socket: str | None) -> aiohttp.BaseConnector:
    if unix_socket is not None:
        return aiohttp.UnixConnector(unix_socket, force_close=True)
    return _Connector(resolver=_Resolver(), force_close=True)


class _Connector(aiohttp.TCPConnector):
    """Remembers its connections, so that none outlives the run.

    A TLS connection that is closed politely waits for the other side's farewell: half a minute,
    when that side is frozen.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._transports: list[asyncio.Transport] = []

    async def connect(self, *arguments: Any, **more: Any) -> Connection:
        connection = await super().connect(*arguments, **more)
        if connection.transport is not None:
            self._transports.append(connection.transport)
        return connection

    def abort(self) -> None:
        """Close what is still open, at once."""
        for transport in self._transports:
            abort(transport)


class _Resolver(AbstractResolver):
    """Looks names up in the bounded threads of `vitald.checks.resolver`."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=_host(address),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for found, _, protocol, _, address in await lookup(host, port, family)
        ]

    async def close(self) -> None:
        """Hold nothing, close nothing."""


def _host(address: tuple[Any, ...]) -> str:
    scoped = len(address) == 4 and address[3]
    return f"{address[0]}%{address[3]}" if scoped else str(address[0])
