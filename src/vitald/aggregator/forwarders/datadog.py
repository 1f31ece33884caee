"""Datadog's intake, over HTTPS and without an Agent."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, field_validator

from vitald.aggregator.forwarders.datadog_payloads import (
    Compression,
    Origin,
    Payload,
    encode_checks,
    encode_event,
    encode_series,
    pack_series,
)
from vitald.aggregator.forwarders.delivery import Unsent, seconds_of, timestamp_of
from vitald.clock import SystemClock
from vitald.config.options import ForwarderOptions, Secret
from vitald.config.units import printable
from vitald.errors import ForwardError

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import SecretStr

    from vitald.aggregator.interval import Interval
    from vitald.clock import Clock

_KEY = re.compile(r"[A-Za-z0-9_\-]+")
_SITE = re.compile(r"[a-z0-9\-]+(\.[a-z0-9\-]+)+")
_RETRYABLE = frozenset({408, 429})
_BAD_KEY = frozenset({401, 403})
_LONGEST_ANSWER = 1000


class _RefusedError(ForwardError):
    """The intake understood one request and will never take it; others may still be taken."""


class DatadogForwarder:
    """Posts series, service checks and events; each request is delivered once.

    An interval is several requests. A retry goes on with those that were not accepted; one that
    was refused for good is left out, and the interval is then reported as refused.
    """

    class Options(ForwarderOptions):
        """Options of `type: datadog`."""

        api_key: Secret = Field(description="API key of the account.")
        site: str = Field(
            default="datadoghq.com", description="The Datadog site, e.g. `datadoghq.eu`."
        )
        url: str | None = Field(
            default=None,
            description="Base URL instead of `https://api.<site>`, for a proxy in front of it.",
        )
        compression: Compression = Field(default="deflate", description="`deflate` or `zstd`.")
        tags: tuple[str, ...] = Field(
            default=(), description="Tags for everything, e.g. `[env:prod, team:web]`."
        )
        percentiles: tuple[float, ...] = Field(
            default=(95.0,), description="Percentiles of timers, beside avg, count, max and median."
        )
        ca_file: str | None = Field(
            default=None, description="PEM file of authorities to trust instead of the system's."
        )

        @field_validator("url")
        @classmethod
        def _url(cls, value: str | None) -> str | None:
            if value is not None:
                base_url(value)
            return value

        @field_validator("site")
        @classmethod
        def _site(cls, value: str) -> str:
            if not _SITE.fullmatch(value):
                raise ValueError("must be a domain, like datadoghq.eu")
            return value

        @field_validator("percentiles")
        @classmethod
        def _percentiles(cls, value: tuple[float, ...]) -> tuple[float, ...]:
            if any(not 0 < percentile < 100 for percentile in value):
                raise ValueError("must be between 0 and 100, both excluded")
            return value

    def __init__(
        self,
        *,
        host: str,
        api_key: SecretStr,
        site: str = "datadoghq.com",
        url: str | None = None,
        compression: Compression = "deflate",
        tags: Sequence[str] = (),
        percentiles: Sequence[float] = (95.0,),
        ca_file: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        key = api_key.get_secret_value()
        if not _KEY.fullmatch(key):
            raise ValueError("cannot use the Datadog API key: it is empty or has odd characters")
        self.skipped: Counter[str] = Counter()
        self._key = key
        self._base = base_url(url or f"https://api.{site}")
        self._compression = compression
        self._origin = Origin(host, tuple(tags))
        self._percentiles = tuple(percentiles)
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._clock = clock or SystemClock()
        self._unsent: Unsent[Payload] = Unsent()

    async def send(self, interval: Interval) -> None:
        """Deliver one interval; returns when every request was accepted."""
        skipped: Counter[str] = Counter()
        payloads = await self._unsent.of(interval, lambda: self._payloads(interval, skipped))
        self.skipped.update(skipped)
        # One connection serves all requests of an interval, and none outlives it.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=1),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "vitald"},
        ) as session:
            await self._deliver(session, payloads)

    def _payloads(self, interval: Interval, skipped: Counter[str]) -> Iterator[Payload]:
        timestamp = timestamp_of(interval)
        # Idle counters are sent as 0, as the Agent does: a rate then falls to 0 and has no gap.
        rows = (row for batch in interval.rows(idle=True) for row in batch)
        series = encode_series(
            rows,
            timestamp,
            seconds_of(interval),
            self._origin,
            percentiles=self._percentiles,
            skipped=skipped,
        )
        yield from pack_series(series, self._compression, skipped)
        now = self._clock.now().wall
        yield from encode_checks(
            interval.service_checks, timestamp, self._origin, now=now, skipped=skipped
        )
        for event in interval.events:
            yield encode_event(event, timestamp, self._origin)

    async def _deliver(self, session: aiohttp.ClientSession, payloads: deque[Payload]) -> None:
        while payloads:
            payload = payloads[0]
            if payload.expires is not None and self._clock.now().wall > payload.expires:
                self.skipped["too_old"] += payload.items
            else:
                try:
                    await self._post(session, payload)
                except _RefusedError as error:
                    self._unsent.refusal = error
            payloads.popleft()
        if self._unsent.refusal is not None:
            raise self._unsent.refusal

    async def _post(self, session: aiohttp.ClientSession, payload: Payload) -> None:
        headers = {"DD-API-KEY": self._key, "Content-Type": "application/json"}
        if payload.encoding is not None:
            headers["Content-Encoding"] = payload.encoding
        url = self._base + payload.path
        try:
            # A redirect would carry the key to wherever it points.
            async with session.post(
                url, data=payload.body, headers=headers, allow_redirects=False
            ) as response:
                if response.status // 100 == 2:
                    return
                answer = await response.content.read(_LONGEST_ANSWER)
        except (aiohttp.ClientError, OSError) as error:
            raise ForwardError(f"cannot send to {url}: {self._clean(str(error))}") from None
        self._raise(url, response, answer.decode("utf-8", "replace"))

    def _raise(self, url: str, response: aiohttp.ClientResponse, answer: str) -> None:
        status = response.status
        cause = self._clean(f"{status} {response.reason or ''} {answer}".strip())
        if status in _RETRYABLE or status >= 500:
            raise ForwardError(
                f"cannot send to {url}: {cause}",
                retry_after=retry_after(response.headers, self._clock.now().wall),
            )
        if status in _BAD_KEY:
            raise ForwardError(
                f"cannot send to {url}: the API key was refused ({cause})", retryable=False
            )
        raise _RefusedError(f"cannot send to {url}: {cause}", retryable=False)

    def _clean(self, text: str) -> str:
        """Return what a server or a library said, without the key should it be in there."""
        return printable(text.replace(self._key, "***"))


def base_url(url: str) -> str:
    """Return the URL that request paths are put behind; ValueError when it cannot be one."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError(f"cannot use {url!r}: {error}") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or not has_port:
        raise ValueError(f"cannot use {url!r}: it must be https://host")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"cannot use {url!r}: it has more than a host and a path")
    return url.rstrip("/")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer asks to wait: `Retry-After` in either form, or the reset.

    `X-RateLimit-Reset` is Datadog's own: seconds until the limit is lifted.
    """
    for name in ("Retry-After", "X-RateLimit-Reset"):
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdecimal() and len(text) < 10:
            return float(text)
    try:
        return max(0.0, parsedate_to_datetime(headers.get("Retry-After", "")).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
