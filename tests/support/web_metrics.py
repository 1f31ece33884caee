"""What the web integrations told an inbox, and real servers that run an application."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from contextlib import contextmanager


def requests_of(inbox):
    """Return the counts by "METHOD route status"; each request has one duration."""
    return _counts(
        inbox.read(),
        "http_requests_total",
        "http_request_duration_seconds",
        "{method} {route} {status}",
    )


def connections_of(inbox):
    """Return the counts of WebSockets by "route status"; each has one duration."""
    return _counts(
        inbox.read(),
        "websocket_connections_total",
        "websocket_connection_duration_seconds",
        "{route} {status}",
    )


def durations_of(inbox):
    inbox.read()
    samples = inbox.samples.items()
    return [value for key, values in samples if "_duration_" in key for value in values]


def _counts(inbox, counter, duration, title):
    found = {}
    for key, count in inbox.counters.items():
        name, _, tags = key.partition("#")
        if name == counter:
            assert len(inbox.samples[f"{duration}#{tags}"]) == count, key
            pairs = dict(tag.split(":", 1) for tag in tags.split(","))
            found[title.format(**pairs)] = count
    return found


@contextmanager
def serving(folder, source, command, url):
    """Run `command` on a socket that listens already; yield its port.

    `{fd}` in the command is the socket, and `app.py` has the source.
    """
    (folder / "app.py").write_text(textwrap.dedent(source))
    with socket.create_server(("127.0.0.1", 0)) as sock, (folder / "log").open("wb") as log:
        port, descriptor = sock.getsockname()[1], sock.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(fd=descriptor) for word in command)],
            cwd=folder,
            env={**os.environ, "VITALD_URL": url},
            pass_fds=[descriptor],
            stdout=log,
            stderr=log,
        )
    # From here on only the server holds the socket: when it dies, requests are refused.
    try:
        yield port
    except OSError as error:
        raise AssertionError((folder / "log").read_text()) from error
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def ask(port, path, method="GET"):
    """Return the whole answer to one request, as it was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def leave(port, path):
    """Ask, read the beginning of the answer, and go away."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(1)
