"""Celery: what became of the tasks, how long they ran, and how long they waited.

    celery_tasks_total{task,state}              runs by their outcome
    celery_task_duration_seconds{task,state}    from the start of a run to its end
    celery_task_queue_seconds{task}             from publishing, or from the eta, to the start

A run ends as `success`, `failure`, `retry`, `rejected` (it raised `Reject`) or `ignored` (it raised
`Ignore`). What the worker does to a task from outside has no duration: `revoked` (also when it
expired or was terminated), `failure` of a task whose process died or whose hard time limit passed,
and `rejected` under the task `unknown` for a message that names no task of this worker.

The time in the queue is known when the publisher is instrumented too: it sends its clock's time as
a header of the message. It is as true as the two machines' clocks agree; a start that seems to
precede the publishing is left out.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns, time
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.exceptions import Retry, TimeLimitExceeded, WorkerLostError
from celery.utils.time import maybe_iso8601

from vitald.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    Ended = tuple[Callable[[], None], Callable[[float], None]]

# The message's header with the publisher's `time.time()`.
_PUBLISHED = "vitald_published"

# The attribute of a run's request with its start by `perf_counter_ns`. It goes with the request,
# so a run that never ends leaves nothing behind.
_STARTED = "vitald_started"

# Names of tasks are code, so this is never reached; names made up at run time must not pile up.
_HANDLE_LIMIT = 4000


class Instrumentation:
    """What `instrument` connected; `stop` disconnects it."""

    def __init__(self, app: Celery | None, client: Client | None) -> None:
        self._client = Client() if client is None else client
        # A proxy of the current app is not identical with the app of a task.
        self._app = None if app is None else getattr(app, "_get_current_object", lambda: app)()
        self._ended: dict[tuple[str, str], Ended] = {}
        self._waited: dict[str, Callable[[float], None]] = {}
        self._timed_out: str | None = None
        # An instrumentation that is connected keeps both alive, so the key stays theirs; the client
        # that the environment names is the same one each time.
        self._key = f"vitald-{id(self._app)}-{id(client)}"
        self._receivers = [
            (signals.before_task_publish, self._on_publish),
            (signals.task_prerun, self._on_start),
            (signals.task_postrun, self._on_end),
            (signals.task_failure, self._on_failure),
            (signals.task_revoked, self._on_revoked),
            (signals.task_unknown, self._on_unknown),
            (signals.task_rejected, self._on_unknown),
        ]
        for signal, receiver in self._receivers:
            # The second connection of one key is none: nothing counts twice.
            signal.connect(receiver, weak=False, dispatch_uid=self._key)

    def stop(self) -> None:
        """Count nothing from now on."""
        for signal, receiver in self._receivers:
            signal.disconnect(receiver, dispatch_uid=self._key)

    # A publisher.

    def _on_publish(self, headers: Any = None, **_: Any) -> None:
        if isinstance(headers, dict):
            headers[_PUBLISHED] = time()

    # The process that runs the task.

    def _on_start(self, task: Any = None, **_: Any) -> None:
        if self._is_foreign(task):
            return
        request = task.request
        published = request.get(_PUBLISHED)
        if published is not None:
            self._record_wait(task.name, request, published)
        setattr(request, _STARTED, perf_counter_ns())

    def _on_end(self, task: Any = None, state: str | None = None, **_: Any) -> None:
        started = task.request.get(_STARTED)
        if started is None or self._is_foreign(task):
            return
        outcome = _outcome(sys.exc_info()[1]) if state is None else state.lower()
        if outcome:
            count, record = self._handles(task.name, outcome)
            count()
            record((perf_counter_ns() - started) / 1e9)

    # The worker's main process.

    def _on_failure(
        self, sender: Any = None, task_id: str = "", exception: Any = None, **_: Any
    ) -> None:
        """Count a task whose run has no end; any other failure is counted at the end of its run."""
        if self._is_foreign(sender):
            return
        if isinstance(exception, TimeLimitExceeded):
            # Some versions of Celery announce it once, others twice in a row.
            if self._timed_out == task_id:
                self._timed_out = None
                return
            self._timed_out = task_id
        elif not isinstance(exception, WorkerLostError):
            return
        self._handles(sender.name, "failure")[0]()

    def _on_revoked(self, sender: Any = None, **_: Any) -> None:
        if not self._is_foreign(sender):
            self._handles(sender.name, "revoked")[0]()

    def _on_unknown(self, sender: Any = None, **_: Any) -> None:
        # The name is whatever somebody sent: no tag.
        if not self._is_foreign(sender):
            self._handles("unknown", "rejected")[0]()

    # Handles.

    def _is_foreign(self, owner: Any) -> bool:
        return self._app is not None and owner.app is not self._app

    def _handles(self, task: str, state: str) -> Ended:
        try:
            return self._ended[task, state]
        except KeyError:
            tags = {"task": task, "state": state}
            ended = (
                self._client.counter("celery_tasks_total", tags=tags).inc,
                self._client.distribution("celery_task_duration_seconds", tags=tags).record,
            )
        if len(self._ended) >= _HANDLE_LIMIT:
            self._ended.clear()
        self._ended[task, state] = ended
        return ended

    def _record_wait(self, task: str, request: Any, published: Any) -> None:
        waited = _seconds_waited(request, published)
        if waited is None:
            return
        record = self._waited.get(task)
        if record is None:
            tags = {"task": task}
            record = self._client.distribution("celery_task_queue_seconds", tags=tags).record
            if len(self._waited) >= _HANDLE_LIMIT:
                self._waited.clear()
            self._waited[task] = record
        record(waited)


def instrument(app: Celery | None = None, client: Client | None = None) -> Instrumentation:
    """Count and time the tasks of `app`, or of every app in this process.

    Call it where the app is made, so that publishers and workers both do. Without `client` one is
    made from the environment.
    """
    return Instrumentation(app, client)


def _outcome(error: BaseException | None) -> str | None:
    """Return the outcome of a run that Celery gave no state, by the exception on its way.

    That is an eager run that propagates, or one that ends the process: the main process counts it.
    """
    if isinstance(error, Retry):
        return "retry"
    return "failure" if isinstance(error, Exception) else None


def _seconds_waited(request: Any, published: Any) -> float | None:
    """Return how long a run that starts now could have started already; None when unknown."""
    try:
        since = float(published)
        if request.eta:
            eta = maybe_iso8601(request.eta)
            if eta.tzinfo is None:
                return None  # of which zone, only the worker's settings tell
            since = max(since, eta.timestamp())
    except (TypeError, ValueError, AttributeError, OverflowError):
        return None  # the header and the eta are whatever somebody sent
    waited = time() - since
    return waited if waited >= 0 else None
