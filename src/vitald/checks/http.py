"""`http`: a web service answers: status, body, time, and the days that its certificate has left."""

from __future__ import annotations

import asyncio
import codecs
import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import aiohttp
from pydantic import BeforeValidator, Field, field_validator
from yarl import URL

from vitald.checks.base import Isolation, Observation, Result
from vitald.checks.deadline import working_time
from vitald.checks.http_body import Expectation
from vitald.checks.http_fetch import Answer, Progress, Request, fetch, shown
from vitald.checks.latency import LatencyOptions, judge_latency
from vitald.checks.tls import Tls, TlsFilesError, TlsOptions, days_left
from vitald.checks.wording import cause, duration, one_line, os_error, without_secrets
from vitald.clock import Clock, SystemClock
from vitald.config.options import Secret, SecretURL, Size  # noqa: TC001  pydantic reads them
from vitald.status import Status, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import SecretStr

    from vitald.config.options import CheckOptions

_STATUS = re.compile(r"([1-5])xx|([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")


def status_range(text: str) -> range:
    """Read `200`, `2xx` or `200-299`. Raises ValueError."""
    match = _STATUS.fullmatch(text)
    if match is None:
        raise ValueError(f"cannot read status {text!r}: write 200, 2xx or 200-299")
    hundreds, first, last = match.groups()
    if hundreds:
        return range(int(hundreds) * 100, int(hundreds) * 100 + 100)
    return range(int(first), int(last or first) + 1)


def _status_text(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        status_range(value)
    return value


def _as_list(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


StatusText = Annotated[str, BeforeValidator(_status_text)]


class Options(LatencyOptions, TlsOptions):
    """Settings of an `http` check."""

    url: SecretURL = Field(description="What to ask for: http:// or https://.")
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = Field(
        default="GET", description="Request method."
    )
    headers: dict[str, Secret] = Field(
        default_factory=dict,
        description="Request headers. They are not sent on to another host by a redirect.",
    )
    body: str | None = Field(default=None, description="Request body.")
    status: Annotated[tuple[StatusText, ...], BeforeValidator(_as_list)] = Field(
        default=("2xx",),
        min_length=1,
        description="Statuses that are healthy: 200, 2xx, 200-299, or a list.",
    )
    contains: str | None = Field(default=None, description="Text that the body must contain.")
    matches: str | None = Field(
        default=None, description="Regular expression that must match somewhere in the body."
    )
    max_body: Size = Field(
        default=1024 * 1024, gt=0, description="How much of the body is read and searched."
    )
    redirects: int = Field(
        default=5, ge=0, le=20, description="Redirects to follow; with 0 the first answer counts."
    )
    unix_socket: str | None = Field(
        default=None, description="Connect to this Unix socket instead of the URL's host."
    )

    @field_validator("url")
    @classmethod
    def _web(cls, url: SecretURL) -> SecretURL:
        if not re.match(r"https?://[^/?#\s]", url.get_secret_value()):
            raise ValueError("must begin with http:// or https:// and a host")
        return url

    @field_validator("matches")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class HttpCheck:
    """Ask a web service and judge its answer.

    No answer, a wrong status, a wrong body and a refused certificate are unhealthy. A slow answer
    and a certificate near its end are a warning first, where their limits say so.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "loop"
    connectivity: ClassVar[bool] = True
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: SecretStr,
        method: str = "GET",
        headers: Mapping[str, SecretStr] | None = None,
        body: str | None = None,
        status: Sequence[str] = ("2xx",),
        contains: str | None = None,
        matches: str | None = None,
        max_body: int = 1024 * 1024,
        redirects: int = 5,
        unix_socket: str | None = None,
        warning: float | None = None,
        critical: float | None = None,
        tls_verify: bool = True,
        tls_ca: str | None = None,
        tls_warning_days: float = 14,
        tls_critical_days: float = 3,
        timeout: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        plain = {name: value.get_secret_value() for name, value in (headers or {}).items()}
        address = url.get_secret_value()
        self._request = Request(address, method, plain, body, redirects, max_body, unix_socket)
        self._status = [status_range(text) for text in status]
        self._expected = ", ".join(status)
        self._expectation = Expectation(contains, matches)
        self._warning, self._critical = warning, critical
        self._tls = Tls(
            verify=tls_verify,
            ca=tls_ca,
            warning_days=tls_warning_days,
            critical_days=tls_critical_days,
        )
        self._timeout = working_time(timeout)
        self._clock = clock or SystemClock()
        self._name = shown(address)
        self._secrets = [
            *_url_secrets(address),
            *(text for text in plain.values() if len(text) > 3),
        ]

    async def run(self) -> Result:
        progress = Progress()
        try:
            return await asyncio.wait_for(self._look(progress), self._timeout)
        except TlsFilesError as error:
            return Result(Status.UNKNOWN, str(error), self._observations())
        except asyncio.TimeoutError:
            fault = f"no answer within {duration(self._timeout)} while {progress.doing}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            fault = without_secrets(cause(os_error(error) or error), self._secrets)
        return Result(Status.CRITICAL, f"cannot reach {self._name}: {fault}", self._observations())

    async def _look(self, progress: Progress) -> Result:
        if self._request.url.startswith("https:"):
            self._tls.context()  # loading it for the first time is no part of the answer's time
        started = self._clock.now().monotonic
        answer = await fetch(self._request, self._tls, progress)
        instant = self._clock.now()
        seconds = instant.monotonic - started
        days = days_left(answer.tls, instant.wall)
        progress.doing = "searching the body"
        findings = [
            (Status.HEALTHY, f"HTTP {answer.status} in {duration(seconds)}"),
            self._judge_status(answer),
            # The search is to give up, and say so, before the check does.
            await self._judge_body(answer, (self._timeout - seconds) * 0.8),
            judge_latency(seconds, self._warning, self._critical),
            self._tls.judge(days),
        ]
        status = worst([status for status, _ in findings])
        message = ", ".join(words for _, words in findings if words)
        return Result(status, message, self._observations(seconds, days, answer.status))

    def _judge_status(self, answer: Answer) -> tuple[Status, str]:
        if any(answer.status in accepted for accepted in self._status):
            return Status.HEALTHY, ""
        reason = one_line(answer.reason, 60)
        expected = f"expected {self._expected}"
        return Status.CRITICAL, f"{reason}, {expected}" if reason else expected

    async def _judge_body(self, answer: Answer, seconds: float) -> tuple[Status, str]:
        if not self._expectation:
            return Status.HEALTHY, ""
        if answer.encoding not in {"", "identity"}:
            return Status.CRITICAL, f"the body is {one_line(answer.encoding, 20)}, not plain"
        fault = await self._expectation.fault(_text(answer), seconds)
        if fault and not answer.whole:
            fault += f" in its first {len(answer.body)} bytes"
        return (Status.CRITICAL if fault else Status.HEALTHY), fault

    def _observations(
        self, seconds: float | None = None, days: float | None = None, status: int | None = None
    ) -> tuple[Observation, ...]:
        found = (
            Observation("http_response_seconds", seconds),
            Observation("http_status_code", status),
        )
        if days is None and URL(self._name).scheme != "https":
            return found
        return (*found, Observation("http_tls_days_left", days))


def _url_secrets(url: str) -> list[str]:
    parts = URL(url)
    return [text for text in (parts.password, parts.raw_query_string) if text]


def _text(answer: Answer) -> str:
    try:
        codecs.lookup(answer.charset)
        return answer.body.decode(answer.charset, "replace")
    except (LookupError, ValueError):
        return answer.body.decode("utf-8", "replace")
