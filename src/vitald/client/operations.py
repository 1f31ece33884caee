"""The eight operation metrics, ready made.

    tasks_created_total{task}       a task began
    tasks_completed_total{task}     it returned
    tasks_failed_total{task}        it raised an Exception
    tasks_cancelled_total{task}     it was stopped from outside: cancelled, interrupted, closed
    task_duration_seconds{task}     its duration, however it ended (a distribution)
    hooks_executed_total{hook}      a hook ran, whatever came of it
    locks_acquired_total{lock}      a lock was taken
    locks_released_total{lock}      it was given back

Each task that ended is counted under exactly one of completed, failed and cancelled.
"""

from __future__ import annotations

from time import perf_counter_ns

from vitald.client.timing import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from vitald.client.client import Client

    S = TypeVar("S", bound=Span)

# One span serves all its uses; names made up at run time must not pile up.
_SPAN_LIMIT = 1000


class Operations:
    """Hands out spans that record the operation metrics through `client`.

    A span serves `with`, `async with` and the decoration of functions, coroutine functions,
    generators and async generators. Keep it, or ask for it each time.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._spans: dict[Any, Any] = {}

    def task(self, name: str) -> Task:
        """Return a span that counts and times a task."""
        return self._span(Task, name)

    def hook(self, name: str) -> Hook:
        """Return a span that counts the execution of a hook."""
        return self._span(Hook, name)

    def lock(self, name: str) -> Lock:
        """Return a span for the time a lock is held: enter it when the lock is taken.

        `with mutex, ops.lock("db"): …` counts a lock that was really acquired.
        """
        return self._span(Lock, name)

    def _span(self, kind: Callable[[Client, str], S], name: str) -> S:
        try:
            return self._spans[kind, name]  # type: ignore[no-any-return]
        except (KeyError, TypeError):
            span = kind(self._client, name)
        if isinstance(name, str):
            if len(self._spans) >= _SPAN_LIMIT:
                self._spans.clear()
            self._spans[kind, name] = span
        return span


class Task(Span):
    """A unit of work, counted at its beginning and under its outcome."""

    __slots__ = ("_cancelled", "_completed", "_created", "_duration", "_failed")

    def __init__(self, client: Client, name: str) -> None:
        super().__init__()
        self._created = client.counter("tasks_created_total", task=name)
        self._completed = client.counter("tasks_completed_total", task=name)
        self._failed = client.counter("tasks_failed_total", task=name)
        self._cancelled = client.counter("tasks_cancelled_total", task=name)
        self._duration = client.distribution("task_duration_seconds", task=name)

    def begin(self) -> int:
        """Count the task as created."""
        self._created.inc()
        return perf_counter_ns()

    def end(self, start: int, error: BaseException | None) -> None:
        """Count the task under its outcome, and add its duration."""
        self._duration.record((perf_counter_ns() - start) / 1e9)
        if error is None:
            self._completed.inc()
        elif _is_failure(error):
            self._failed.inc()
        else:
            self._cancelled.inc()


class Hook(Span):
    """A hook, counted when it has run."""

    __slots__ = ("_executed",)

    def __init__(self, client: Client, name: str) -> None:
        super().__init__()
        self._executed = client.counter("hooks_executed_total", hook=name)

    def end(self, start: int, error: BaseException | None) -> None:  # noqa: ARG002  whatever came
        """Count the execution."""
        self._executed.inc()


class Lock(Span):
    """The time a lock is held."""

    __slots__ = ("_acquired", "_released")

    def __init__(self, client: Client, name: str) -> None:
        super().__init__()
        self._acquired = client.counter("locks_acquired_total", lock=name)
        self._released = client.counter("locks_released_total", lock=name)

    def begin(self) -> int:
        """Count the lock as acquired."""
        self._acquired.inc()
        return perf_counter_ns()

    def end(self, start: int, error: BaseException | None) -> None:  # noqa: ARG002  whatever came
        """Count the lock as released."""
        self._released.inc()


def _is_failure(error: BaseException) -> bool:
    """Return whether the task itself went wrong, rather than being stopped.

    asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, SystemExit and trio's Cancelled are
    no `Exception`, and that is what tells them. A group is a failure when it holds one.
    """
    if isinstance(error, Exception):
        return True
    failures = getattr(error, "subgroup", None)  # BaseExceptionGroup, Python 3.11
    return failures is not None and failures(Exception) is not None
