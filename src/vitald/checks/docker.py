"""`docker`: the daemon answers, containers run, and the unhealthy ones are named."""

from __future__ import annotations

import os
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from vitald.checks.base import Isolation, Observation, Result
from vitald.checks.deadline import working_time
from vitald.checks.wording import cause, duration, one_line, os_error, plural
from vitald.config.options import CheckOptions
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_URL = "unix:///var/run/docker.sock"
# So many names fit in a line that people read.
_NAMES = 10
_GONE = ("created", "exited", "dead")


class Options(CheckOptions):
    """Settings of a `docker` check."""

    url: str | None = Field(
        default=None,
        description="Where the daemon listens: unix:///PATH or tcp://HOST:PORT. Left out: "
        f"DOCKER_HOST, or {DEFAULT_URL}.",
    )
    cert_path: str | None = Field(
        default=None,
        description="Directory with ca.pem, cert.pem and key.pem, for a daemon that wants TLS.",
    )
    containers: tuple[str, ...] = Field(
        default=(),
        description="Names (with * and ?) of containers that must run; each needs at least one.",
    )
    unhealthy: Literal["critical", "warning", "ignore"] = Field(
        default="critical",
        description="What a container means whose own HEALTHCHECK fails.",
    )
    ignore: tuple[str, ...] = Field(
        default=(),
        description="Names (with * and ?) of containers whose HEALTHCHECK does not matter.",
    )


class DockerCheck:
    """Ask the Docker daemon for its containers.

    No answer is unhealthy, and then the numbers are unknown, never 0. It runs in a worker process:
    the client's time-out is per read, and a daemon that trickles would keep it for ever.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "process"
    connectivity: ClassVar[bool] = True
    machine_wide: ClassVar[bool] = True
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str | None = None,
        cert_path: str | None = None,
        containers: Sequence[str] = (),
        unhealthy: str = "critical",
        ignore: Sequence[str] = (),
        timeout: float = 5.0,
    ) -> None:
        self._url = url or os.environ.get("DOCKER_HOST") or DEFAULT_URL
        self._cert_path = cert_path
        self._wanted = tuple(containers)
        self._unhealthy = unhealthy
        self._ignored = tuple(ignore)
        self._timeout = working_time(timeout)

    def run(self) -> Result:
        try:
            import docker
        except ImportError:
            message = "cannot check Docker: its client is missing; install vitald[sidecar]"
            return Result(Status.UNKNOWN, message, _observations(None))
        started = time.perf_counter()
        try:
            running, unhealthy, version = self._ask(docker)
        except Exception as error:
            words = _words(error, self._timeout)
            message = f"cannot reach Docker at {one_line(self._url)}: {words}"
            return Result(Status.CRITICAL, message, _observations(None))
        seconds = time.perf_counter() - started
        return self._judge(running, unhealthy, version, seconds)

    def _ask(self, docker: Any) -> tuple[list[dict[str, Any]], list[str], str]:
        """Return every container, the names of unhealthy ones, and the daemon's version.

        A client of its own for every run: the daemon may have been restarted since the last.
        """
        client = docker.APIClient(
            base_url=self._url, timeout=self._timeout, tls=self._tls(docker), version="auto"
        )
        try:
            version = str(client.version().get("Version", ""))
            containers = client.containers(all=True)
            failing = client.containers(filters={"health": ["unhealthy"]})
        finally:
            client.close()
        return containers, sorted(_name(item) for item in failing), version

    def _tls(self, docker: Any) -> Any:
        directory = self._cert_path
        if directory is None and os.environ.get("DOCKER_TLS_VERIFY"):
            directory = os.environ.get("DOCKER_CERT_PATH") or str(Path.home() / ".docker")
        if directory is None:
            return None
        return docker.TLSConfig(
            client_cert=(f"{directory}/cert.pem", f"{directory}/key.pem"),
            ca_cert=f"{directory}/ca.pem",
            verify=True,
        )

    def _judge(
        self, containers: list[dict[str, Any]], unhealthy: list[str], version: str, seconds: float
    ) -> Result:
        names = {_name(item): str(item.get("State", "")) for item in containers}
        running = [name for name, state in names.items() if state == "running"]
        message = f"Docker {version} answered in {duration(seconds)}, {len(running)} running"
        status = Status.HEALTHY
        counted = [name for name in unhealthy if not _matches(name, self._ignored)]
        if counted and self._unhealthy != "ignore":
            status = Status[self._unhealthy.upper()]
        if unhealthy:
            message += f", {plural(len(unhealthy), 'container')} unhealthy: {_listed(unhealthy)}"
        missing = [
            pattern
            for pattern in self._wanted
            if not any(fnmatchcase(name, pattern) for name in running)
        ]
        if missing:
            status = Status.CRITICAL
            message += f", not running: {_listed(missing)}"
        counts = {
            "running": len(running),
            "paused": sum(state == "paused" for state in names.values()),
            "restarting": sum(state == "restarting" for state in names.values()),
            "stopped": sum(state in _GONE for state in names.values()),
            "unhealthy": len(unhealthy),
        }
        return Result(status, message, _observations(seconds, counts))


def _observations(
    seconds: float | None, counts: dict[str, int] | None = None
) -> tuple[Observation, ...]:
    found = counts or {}
    states = ("running", "paused", "restarting", "stopped", "unhealthy")
    numbers = [Observation(f"docker_containers_{state}", found.get(state)) for state in states]
    return (*numbers, Observation("docker_response_seconds", seconds))


def _name(container: dict[str, Any]) -> str:
    """Return a container's own name; the list also has the names it is linked under."""
    names = [str(name).removeprefix("/") for name in container.get("Names") or ()]
    return min(names, key=lambda name: name.count("/"), default=str(container.get("Id"))[:12])


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def _words(error: Exception, seconds: float) -> str:
    """Return the cause below what the client, requests and urllib3 each wrapped around it."""
    words = cause(os_error(error) or error)
    if words == "timed out" or "timed out" in str(error).lower():
        return f"no answer within {duration(seconds)}"
    return words
