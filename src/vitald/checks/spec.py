"""One check as the scheduler sees it: what to build, where to run it, when, and how to judge it."""

from __future__ import annotations

import hashlib
import importlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vitald.checks.base import Check, Isolation
    from vitald.config.options import CheckOptions

# A check that is late by less than this is not stale, however short its interval is: a busy
# machine is late by seconds, and it is the last one that needs false alarms.
_STALE_AT_LEAST = 15.0
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True)
class CheckSpec:
    """Plain values only, so that it can be compared at a reload and sent to a worker.

    `factory` is `module:Class`; `options` are the keywords that the class is built with. Times are
    in seconds.
    """

    name: str
    type: str
    factory: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    isolation: Isolation = "thread"
    connectivity: bool = False
    machine_wide: bool = False
    interval: float = 30.0
    timeout: float = 5.0
    fail_after: int = 3
    recover_after: int = 2
    depends_on: tuple[str, ...] = ()
    status_metric: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.timeout < self.interval:
            raise ValueError(
                f"cannot schedule check {self.name}: timeout {self.timeout:g}s is not between 0 "
                f"and the interval {self.interval:g}s"
            )
        if self.fail_after < 1 or self.recover_after < 1:
            raise ValueError(
                f"cannot schedule check {self.name}: fail_after and recover_after start at 1"
            )
        if not self.status_metric:
            metric = f"{_NOT_IN_A_NAME.sub('_', self.type)}_status"
            object.__setattr__(self, "status_metric", metric)

    @classmethod
    def of(cls, name: str, type_: str, check: Any, options: CheckOptions) -> CheckSpec:
        """Make a spec from a check class and its validated options.

        The scheduling fields of `options` go into the spec, all others to the class as they are.
        """
        from vitald.config.options import CheckOptions as Scheduling
        from vitald.config.options import arguments

        own = arguments(options, Scheduling)
        if getattr(check, "takes_timeout", False):
            own["timeout"] = options.timeout
        return cls(
            name=name,
            type=type_,
            factory=f"{check.__module__}:{check.__qualname__}",
            options=own,
            isolation=getattr(check, "isolation", "thread"),
            connectivity=getattr(check, "connectivity", False),
            machine_wide=getattr(check, "machine_wide", False),
            interval=options.interval,
            timeout=options.timeout,
            fail_after=options.fail_after,
            recover_after=options.recover_after,
            depends_on=tuple(options.depends_on),
            status_metric=getattr(check, "status_metric", ""),
        )

    @property
    def phase(self) -> float:
        """Return where in its interval the check's slots lie.

        A digest and not `hash()`, which Python salts: a restart must not move the load around.
        """
        digest = hashlib.blake2b(self.name.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 * self.interval

    @property
    def stale_after(self) -> float:
        """Return the age at which the last result no longer says anything."""
        return max(3 * self.interval, _STALE_AT_LEAST)


def build(factory: str, options: Mapping[str, Any]) -> Check:
    """Import the class that `factory` names and build it. Raises whatever that raises."""
    module, _, path = factory.partition(":")
    target: Any = importlib.import_module(module)
    for part in path.split("."):
        target = getattr(target, part)
    check: Check = target(**options)
    return check


def secrets_in(options: Mapping[str, Any]) -> frozenset[str]:
    """Return what must never appear in a message: secret values, and passwords in secret URLs."""
    secrets = set(_revealed(dict(options)))
    passwords = {_password_of(secret) for secret in secrets}
    return frozenset(filter(None, secrets | passwords))


def _revealed(value: object) -> Iterator[str]:
    reveal = getattr(value, "get_secret_value", None)
    if callable(reveal):
        text = str(reveal())
        masked = getattr(value, "masked", None)
        # A URL without a password and a query hides nothing, and messages are to name it.
        if not callable(masked) or masked() != text:
            yield text
    elif isinstance(value, dict):
        for item in value.values():
            yield from _revealed(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _revealed(item)


def _password_of(secret: str) -> str | None:
    try:
        return urlsplit(secret).password if "://" in secret else None
    except ValueError:
        return None
