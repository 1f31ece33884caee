"""One look at the world: build the check when there is none yet, run it, and always get a result.

This is the one place where a check's exceptions end. It runs in whatever place the check runs in:
the event loop, a thread, or a worker process.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from types import NoneType
from typing import TYPE_CHECKING, Any

from vitald.checks.base import Observation, Result
from vitald.checks.spec import build, secrets_in
from vitald.checks.wording import cause, one_line, without_secrets
from vitald.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vitald.checks.base import Check

# What a check says ends up in every `health` document and in the engine's series table.
MAX_OBSERVATIONS = 1000

log = logging.getLogger(__name__)


class Looker:
    """Builds one check and runs it; a check that cannot be built is tried again at every look."""

    def __init__(self, factory: str, options: Mapping[str, Any]) -> None:
        self._factory = factory
        self._options = options
        self._secrets = secrets_in(options)
        self._check: Check | None = None

    def prepare(self) -> None:
        """Build the check ahead of its first run. A failure is left for the run to report."""
        try:
            self._built()
        except (Exception, SystemExit) as error:
            log.debug("cannot build %s", self._factory, exc_info=error)

    def look(self) -> Result:
        """Run the check here and now; a coroutine gets an event loop of its own."""
        try:
            found = self._built().run()
            if inspect.isawaitable(found):
                found = asyncio.run(_wait_for(found))
            result = _checked(found)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            result = self._failure(error)
        return tidy(result, self._secrets)

    async def look_here(self) -> Result:
        """Run the check on the running event loop."""
        try:
            found = self._built().run()
            if inspect.isawaitable(found):
                found = await found
            result = _checked(found)
        except (Exception, SystemExit) as error:
            result = self._failure(error)
        return tidy(result, self._secrets)

    def _built(self) -> Check:
        if self._check is None:
            self._check = build(self._factory, self._options)
        return self._check

    def _failure(self, error: BaseException) -> Result:
        log.debug("%s failed", self._factory, exc_info=error)
        if self._check is None:
            return Result(Status.UNKNOWN, f"cannot build {self._factory}: {cause(error)}")
        could_not_look = isinstance(error, (ImportError, PermissionError, _NotAResultError))
        return Result(Status.UNKNOWN if could_not_look else Status.CRITICAL, _told(error))


def tidy(result: Result, secrets: Iterable[str]) -> Result:
    """Return the result as it may be kept and shown.

    The message is one bounded line without secrets or control characters; numbers are finite or
    None; there are at most `MAX_OBSERVATIONS` of them.
    """
    message = one_line(without_secrets(result.message, secrets)) or result.status.word
    kept = tuple(_tidy_observation(item) for item in result.observations[:MAX_OBSERVATIONS])
    dropped = len(result.observations) - len(kept)
    if dropped:
        message += f" ({dropped} of {len(result.observations)} numbers dropped)"
    return Result(result.status, message, kept)


def _tidy_observation(item: Observation) -> Observation:
    value = None if item.value is None else float(item.value)
    if value is not None and not math.isfinite(value):
        value = None
    tags = tuple(sorted((one_line(str(key)), one_line(str(text))) for key, text in item.tags))
    return Observation(one_line(item.name), value, tags)


class _NotAResultError(TypeError):
    """`run` returned something else than a Result."""


def _checked(found: object) -> Result:
    if not isinstance(found, Result):
        raise _NotAResultError(f"run() returned {type(found).__name__}, not a Result")
    observations = tuple(found.observations)
    items: tuple[object, ...] = observations
    for item in items:
        if not isinstance(item, Observation):
            raise _NotAResultError(f"run() observed {type(item).__name__}, not an Observation")
        if not isinstance(item.value, (int, float, NoneType)):
            raise _NotAResultError(f"run() observed {item.name} = {item.value!r}, not a number")
    return Result(Status(found.status), str(found.message), observations)


def _told(error: BaseException) -> str:
    """Word an error that a check did not word itself; an errno alone lacks what it was about."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot read {error.filename}: {cause(error)}"
    if text.startswith("cannot "):
        return text
    return f"{type(error).__name__}: {cause(error)}"


async def _wait_for(found: Any) -> Any:
    return await found
