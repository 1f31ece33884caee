"""`/v1/watch`: the same document again and again, as server-sent events.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. A document is one `data:`
line, because JSON escapes line feeds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vitald.aggregator.documents import dump
from vitald.aggregator.question import watch_question
from vitald.aggregator.serving import Limits, json_response, stream
from vitald.errors import VitaldError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aiohttp import web

    from vitald.aggregator.dashboard import Dashboard
    from vitald.aggregator.question import WatchQuestion

# A comment at least this often shows a proxy, and us, that the connection lives.
KEEPALIVE_SECONDS = 15.0


class Watch:
    """Serves watchers, at most `limits.watchers` at a time; `sleep` is how they wait."""

    def __init__(
        self,
        dashboard: Dashboard,
        limits: Limits,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._dashboard = dashboard
        self._limits = limits
        self._sleep = sleep
        self._stopping = asyncio.Event()
        self.watchers = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one watcher until it leaves or the sidecar stops."""
        question = watch_question(request.query.items())
        if self.watchers >= self._limits.watchers:
            error = f"cannot watch: {self.watchers} watchers are connected already"
            refusal = json_response({"error": error}, 503)
            refusal.headers["Retry-After"] = "5"
            return refusal
        self.watchers += 1
        try:
            headers = {"Content-Type": "text/event-stream; charset=utf-8"}
            return await stream(request, self._events(question), headers, self._limits)
        finally:
            self.watchers -= 1

    def stop(self) -> None:
        """End every watch after the document that it is sending."""
        self._stopping.set()

    async def _events(self, question: WatchQuestion) -> AsyncGenerator[str, None]:
        sent = 0
        while not self._stopping.is_set():
            lead = "data: "
            try:
                async for piece in self._document(question):
                    yield lead + piece
                    lead = ""
            except VitaldError as error:
                if not sent:  # still in time for an error answer
                    raise
                yield f"event: error\ndata: {dump({'error': str(error)})}\n\n"
                return
            yield "\n\n"
            sent += 1
            left = question.every
            while left > 0 and not self._stopping.is_set():
                await self._pause(min(left, KEEPALIVE_SECONDS))
                left -= KEEPALIVE_SECONDS
                if left > 0:
                    yield ": alive\n\n"

    async def _document(self, question: WatchQuestion) -> AsyncGenerator[str, None]:
        if question.what == "metrics":
            async for piece in self._dashboard.metrics(question.metrics):
                yield piece
        elif question.what == "health":
            yield dump(self._dashboard.health(question.names))
        else:
            yield dump(await self._dashboard.stats())

    async def _pause(self, seconds: float) -> None:
        """Wait, or return at once when the sidecar stops."""
        tasks = {
            asyncio.ensure_future(self._sleep(seconds)),
            asyncio.ensure_future(self._stopping.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
