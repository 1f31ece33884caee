"""The process that runs one check which may hang, crash or leak: `python -m vitald.checks.worker`.

It speaks JSON lines with its parent on the standard streams, one answer for each line:

    {"factory": "module:Class", "options": "<base64 pickle>"}    -> {"ready": true}
    {"run": 7}    -> {"run": 7, "status": 0, "message": "…", "observations": [["name", 1.0,
                     [["tag", "value"]]]], "seconds": 0.01}

The options are pickled because they are the very values that the parent validated (paths,
compiled patterns, secrets); only this direction is, and only the parent can write to it.

It lives as long as its parent and no longer: the kernel kills it when the parent dies (Linux), and
it ends when its standard input does, even in the middle of a run.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from vitald.checks.look import Looker

if TYPE_CHECKING:
    from vitald.checks.base import Result

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    """Serve one parent until it is gone. `argv[1]`, when given, is the parent's process id."""
    parent = int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid()
    _die_with(parent)
    _leave_ending_to_the_parent()
    requests, answers = _claim_streams()
    looker: Looker | None = None
    for request in _arriving(requests):
        if looker is None:
            options = pickle.loads(base64.b64decode(request["options"]))  # noqa: S301 - see above
            looker = Looker(request["factory"], options)
            looker.prepare()
            answer: dict[str, Any] = {"ready": True}
        else:
            started = time.perf_counter()
            result = looker.look()
            answer = _answer(request["run"], result, time.perf_counter() - started)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _answer(run: int, result: Result, seconds: float) -> dict[str, Any]:
    return {
        "run": run,
        "status": int(result.status),
        "message": result.message,
        "observations": [[item.name, item.value, item.tags] for item in result.observations],
        "seconds": seconds,
    }


def _arriving(requests: BinaryIO) -> Any:
    """Yield requests, read by a thread of their own so that their end is seen during a run."""
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in requests:
            arrived.put(line)
        os._exit(0)

    threading.Thread(target=read, name="requests", daemon=True).start()
    while True:
        yield json.loads(arrived.get())


def _claim_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the channel away from the standard streams: what a driver prints must not get into it.

    Whatever is printed goes to standard error; whatever reads finds the end of file.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the kernel was asked.
    if os.getppid() != parent:
        os._exit(0)


def _leave_ending_to_the_parent() -> None:
    """Ignore the signals that a service manager sends to every process of a stopping service.

    A handler and not SIG_IGN: programs that a check starts must not inherit it.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)


if __name__ == "__main__":
    main()
