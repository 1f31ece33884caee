"""TLS as checks use it: which certificates are trusted, and how long one is still good."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from vitald.checks.wording import cause, plural
from vitald.config.options import CheckOptions
from vitald.status import Status

if TYPE_CHECKING:
    import asyncio

_DAY = 86400.0


class TlsOptions(CheckOptions):
    """Settings of the checks that can speak TLS."""

    tls_verify: bool = Field(
        default=True,
        description="Verify the certificate and its host name. When off, the days that the "
        "certificate has left are not known.",
    )
    tls_ca: str | None = Field(
        default=None,
        description="PEM file with the certificates to trust, instead of the system's.",
    )
    tls_warning_days: float = Field(
        default=14, ge=0, description="Warn when the certificate ends in fewer days."
    )
    tls_critical_days: float = Field(
        default=3, ge=0, description="Unhealthy when the certificate ends in fewer days."
    )


class TlsFilesError(Exception):
    """A file of the TLS settings is no good: nothing can be said about the service."""


class Tls:
    """The TLS settings of one check."""

    def __init__(
        self,
        *,
        verify: bool = True,
        ca: str | None = None,
        warning_days: float = 14,
        critical_days: float = 3,
    ) -> None:
        self._verify = verify
        self._ca = ca
        self._warning_days = warning_days
        self._critical_days = critical_days
        self._context: ssl.SSLContext | None = None
        self._version: object = None

    def context(self) -> ssl.SSLContext:
        """Return the context to connect with. Raises TlsFilesError.

        Loading the system's certificates takes some thirty milliseconds of the event loop, so it
        happens when the first TLS connection needs them, and the context is kept; a CA file that
        was replaced is read again.
        """
        try:
            version = _version(Path(self._ca)) if self._ca else None
            if self._context is None or version != self._version:
                self._context = self._load()
                self._version = version
        except OSError as error:
            raise TlsFilesError(f"cannot read the CA file {self._ca}: {cause(error)}") from error
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca)
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def judge(self, days: float | None) -> tuple[Status, str]:
        """Return what `days` left mean, and the words for it; unknown days are no fault."""
        if days is None or days >= max(self._warning_days, self._critical_days):
            return Status.HEALTHY, ""
        status = Status.CRITICAL if days < self._critical_days else Status.WARNING
        return status, f"certificate ends in {plural(int(days), 'day')}"


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def days_left(connection: ssl.SSLObject | None, now: float) -> float | None:
    """Return the days from `now` (Unix seconds) to the end of the peer's certificate.

    None without TLS, and without verification, because then the certificate is not decoded.
    """
    certificate = connection.getpeercert() if connection is not None else None
    end = certificate.get("notAfter") if certificate else None
    return (ssl.cert_time_to_seconds(end) - now) / _DAY if isinstance(end, str) else None


def abort(transport: asyncio.WriteTransport) -> None:
    """Close a connection at once, TLS or not, closed already or not."""
    # Before CPython 3.11.4 a TLS transport that is closed already raises this.
    with suppress(AttributeError):
        transport.abort()
