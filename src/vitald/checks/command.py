"""`command`: any Nagios plugin, or any program that ends like one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from vitald.checks import child, nagios
from vitald.checks.base import Isolation, Observation, Result
from vitald.checks.deadline import working_time
from vitald.checks.wording import cause, duration, one_line, plural
from vitald.config.options import CheckOptions, Secret
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import SecretStr

# Enough for every plugin's performance data; the message is cut further.
OUTPUT_LIMIT = 64 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Options(CheckOptions):
    """Settings of a `command` check."""

    command: tuple[str, ...] = Field(
        min_length=1,
        description="The program and its arguments, one item each. No shell reads them.",
    )
    environment: dict[str, Secret] = Field(
        default_factory=dict,
        description="Variables for the program. It sees these, PATH and LC_ALL=C.UTF-8 only.",
    )
    directory: str = Field(default="/", description="Working directory of the program.")


class CommandCheck:
    """Run a program; its exit code is the status, its output the message and the numbers.

    Exit codes are the plugins': 0 healthy, 1 warning, 2 critical, anything else unknown. A program
    that does not end in time is critical, as Nagios has it, and is stopped with its children.
    """

    Options: ClassVar[type[CheckOptions]] = Options
    isolation: ClassVar[Isolation] = "loop"
    connectivity: ClassVar[bool] = False
    takes_timeout: ClassVar[bool] = True

    def __init__(
        self,
        *,
        command: Sequence[str],
        environment: Mapping[str, SecretStr] | None = None,
        directory: str = "/",
        timeout: float = 5.0,
    ) -> None:
        self._argv = list(command)
        self._name = Path(self._argv[0]).name
        self._environment = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
        for name, value in (environment or {}).items():
            self._environment[name] = value.get_secret_value()
        self._directory = directory
        self._timeout = working_time(timeout)
        self._grace = min(child.GRACE, (timeout - self._timeout) / 2)

    async def run(self) -> Result:
        try:
            finished = await child.run(
                self._argv,
                timeout=self._timeout,
                environment=self._environment,
                limit=OUTPUT_LIMIT,
                directory=self._directory,
                grace=self._grace,
            )
        except (OSError, ValueError) as error:
            return Result(Status.UNKNOWN, f"cannot run {one_line(self._argv[0])}: {cause(error)}")
        return self._judge(finished)

    def _judge(self, finished: child.Finished) -> Result:
        output = nagios.parse_output(finished.stdout.decode("utf-8", "replace"))
        # A script that breaks says why on stderr, in its last line.
        said = one_line(output.text) or _last_line(finished.stderr)
        code = finished.exit_code
        if code is None:
            message = f"{self._name} did not end within {duration(self._timeout)} and was stopped"
            return Result(Status.CRITICAL, _joined(message, said))
        observations = tuple(_observation(item) for item in output.perfdata)
        status = nagios.status_of(code)
        if 0 <= code <= 3:
            message = said or f"{self._name} ended with exit code {code} and wrote nothing"
        else:
            message = _joined(f"{self._name} {_ending(code)}", said)
        if output.malformed:
            message += f" ({plural(output.malformed, 'unreadable number')})"
        return Result(status, message, observations)


def _observation(item: nagios.Perfdata) -> Observation:
    """Name a plugin's number: `command_perfdata_seconds{label=time}`."""
    if item.unit in {"seconds", "bytes", "percent"}:
        tags = (("label", item.label),)
        return Observation(f"command_perfdata_{item.unit}", item.value, tags)
    if item.unit:
        tags_with_unit = (("label", item.label), ("unit", item.unit))
        return Observation("command_perfdata", item.value, tags_with_unit)
    return Observation("command_perfdata", item.value, (("label", item.label),))


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_line(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return one_line(lines[-1]) if lines else ""


def _joined(message: str, said: str) -> str:
    return f"{message}: {said}" if said else message
