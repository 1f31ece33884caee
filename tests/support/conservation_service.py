"""One service of the conservation matrix: it records its plan's shares, forks, and ends as told.

Run as a program with the plan in JSON. Children of `multiprocessing` import it again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time

from vitald.client import Client
from vitald.client.termination import flush_on_sigterm

plan = json.loads(sys.argv[1])
client = Client(flush_interval=plan["flush_interval"], aggregate=plan["aggregate"])
handle = client.counter("handle")
if plan["end"] == "SIGTERM":
    flush_on_sigterm()


def record(share):
    """Record what `conservation.expected_of` expects of one share, in bursts."""
    values = plan["values"]
    for index in range(values):
        if plan["end"] == "threads" and index == values // 2:
            threading.main_thread().join(20)  # its end waits for this thread
        number = share * values + index
        client.incr("calls")
        handle.inc(index % 5)
        client.incr("tagged", 2, tags={"kind": "b"})
        client.gauge("depth", 1, delta=True)
        client.timing("render", number)
        client.set("members", number)
        if index % 20 == 0:
            client.event(str(number))
        if index % 10 == 0:
            time.sleep(0.002)


def start(who):
    """Record the shares of one process on as many threads as the plan has: one is the main one."""
    first = who * plan["threads"]
    if plan["threads"] == 1 and plan["end"] != "threads":
        record(first)
        return []
    threads = [
        threading.Thread(target=record, args=(first + number,)) for number in range(plan["threads"])
    ]
    for thread in threads:
        thread.start()
    return threads


def leave(threads):
    """End this process the plan's way."""
    end = plan["end"]
    if end == "threads":
        return
    for thread in threads:
        thread.join()
    if end == "sys.exit":
        sys.exit(plan["exit_code"])
    elif end == "exception":
        raise ValueError("uncaught")
    elif end in {"SIGINT", "SIGTERM"}:
        os.kill(os.getpid(), getattr(signal, end))
        while True:
            time.sleep(0.01)


def work(who):
    """Be a child of `multiprocessing`."""
    leave(start(who))


def fork():
    """Fork while the threads record; return the exit statuses of the children."""
    pids = []
    for who in range(1, plan["children"] + 1):
        pids.append(os.fork())
        if not pids[-1]:
            leave(start(who))
            return None
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def spread():
    """Start children of `multiprocessing`; return their exit statuses."""
    context = multiprocessing.get_context(plan["fork"])
    children = [context.Process(target=work, args=(n + 1,)) for n in range(plan["children"])]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def main():
    threads = start(0)
    statuses = []
    if plan["fork"] == "os.fork":
        statuses = fork()
        if statuses is None:
            return  # a child, whose end this is
    elif plan["fork"] != "none":
        statuses = spread()
    sys.stdout.write(json.dumps(statuses))
    sys.stdout.flush()
    leave(threads)


if __name__ == "__main__":
    main()
