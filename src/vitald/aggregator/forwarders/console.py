"""Console: every row as a line, on standard output, standard error or another descriptor."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import threading
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from vitald.aggregator.documents import dump, measure, metric_json, number, rfc3339, tags_text
from vitald.aggregator.forwarders.delivery import Unsent, seconds_of, timestamp_of
from vitald.aggregator.forwarders.summary import native_values
from vitald.config.options import ForwarderOptions
from vitald.config.units import printable
from vitald.errors import ForwardError, system_cause

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Iterator

    from vitald.aggregator.interval import Interval, Row
    from vitald.metric import Event, ServiceCheck

Format = Literal["json", "text"]
Output = Literal["stdout", "stderr"] | Annotated[int, Field(ge=0)]

_DESCRIPTORS = {"stdout": 1, "stderr": 2}
_PERCENTILES = (50.0, 90.0, 95.0, 99.0)
# A descriptor that is ready takes this much without blocking (PIPE_BUF).
_PIECE = 4096
_POLL_MILLISECONDS = 100


def encode_json(rows: Iterable[Row], time: str, seconds: float) -> bytes:
    """Return one JSON object a row: `time` and an entry of the metrics document."""
    head = f'{{"time":"{time}",'
    return "".join([f"{head}{metric_json(measure(row, seconds))[1:]}\n" for row in rows]).encode()


def encode_text(rows: Iterable[Row], time: str, seconds: float) -> bytes:
    """Return one line a row for people: time, type, name{tags}, numbers."""
    lines = []
    for row in rows:
        tags = f"{{{tags_text(row.tags)}}}" if row.tags else ""
        values = native_values(row, seconds, _PERCENTILES)
        numbers = " ".join([f"{name}={number(value)}" for name, value in values])
        lines.append(f"{time} {row.type.value} {printable(row.name + tags)} {numbers}\n")
    return "".join(lines).encode("utf-8", "replace")


def encode_extended(item: Event | ServiceCheck, kind: str, time: str, form: Format) -> bytes:
    """Return the line of an event or of a service check."""
    fields = item._asdict()
    if form == "json":
        document = {"time": time, kind: {**fields, "tags": dict(item.tags)}}
        return (dump(document) + "\n").encode()
    fields["tags"] = tags_text(item.tags)
    shown = " ".join(f"{key}={value}" for key, value in fields.items() if value not in {None, ""})
    return f"{time} {kind} {printable(shown)}\n".encode("utf-8", "replace")


def write_all(descriptor: int, pieces: deque[memoryview], stop: threading.Event) -> None:
    """Write the pieces, taking from the left what is written; return early once `stop` is set.

    Waits in short polls, so that a reader that stopped reading blocks nobody for long. The
    descriptor's blocking mode is left alone: other processes may share it.
    """
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    while pieces and not stop.is_set():
        if not ready.poll(_POLL_MILLISECONDS):
            continue
        rest = pieces[0][os.write(descriptor, pieces[0][:_PIECE]) :]
        if rest:
            pieces[0] = rest
        else:
            pieces.popleft()


class ConsoleForwarder:
    """Writes lines; what was written once is not written again by a retry."""

    class Options(ForwarderOptions):
        """Options of `type: console`."""

        format: Format = Field(default="json", description="`json` (one object a line) or `text`.")
        output: Output = Field(
            default="stdout", description="`stdout`, `stderr` or the number of an open descriptor."
        )

    def __init__(self, *, host: str, format: Format = "json", output: Output = "stdout") -> None:  # noqa: A002, ARG002 - named as in the configuration; a console shows one host
        self.skipped: Counter[str] = Counter()
        self._format: Format = format
        self._descriptor = _DESCRIPTORS[output] if isinstance(output, str) else output
        self._unsent: Unsent[memoryview] = Unsent()

    async def send(self, interval: Interval) -> None:
        """Deliver one interval; returns when everything is written."""
        pieces = await self._unsent.of(interval, lambda: self._lines(interval))
        stop = threading.Event()
        writing = asyncio.ensure_future(
            asyncio.to_thread(write_all, self._descriptor, pieces, stop)
        )
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The thread must be out of the descriptor before anyone may write again.
            stop.set()
            await asyncio.wait({writing})
            writing.exception()
            raise
        except OSError as error:
            is_gone = error.errno in {errno.EPIPE, errno.EBADF}
            raise ForwardError(
                f"cannot write to descriptor {self._descriptor}: {system_cause(error)}",
                retryable=not is_gone,
            ) from error

    def _lines(self, interval: Interval) -> Iterator[memoryview]:
        time = rfc3339(timestamp_of(interval)) or "-"
        seconds = seconds_of(interval)
        encode = encode_json if self._format == "json" else encode_text
        for batch in interval.rows():
            yield memoryview(encode(batch, time, seconds))
        for event in interval.events:
            yield memoryview(encode_extended(event, "event", time, self._format))
        for check in interval.service_checks:
            yield memoryview(encode_extended(check, "service_check", time, self._format))
