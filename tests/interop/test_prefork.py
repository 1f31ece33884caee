"""Servers that fork their workers, as they are: what a worker records arrives however it ends.

The clients never flush by themselves here, so what arrives was sent because a worker ended. Each
task and request also appends a byte to a file, which says how many there were.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest
from conservation import Sink, tally_of

CELERY_APP = """
import os, time
{imports}
client = Client(flush_interval=3600)
broker = {{"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}}
app = Celery("app", broker="filesystem://", broker_transport_options=broker)
app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=False)

def note(what):
    with open("log", "ab", buffering=0) as log:
        log.write(what)

@app.task(ignore_result=True)
def job():
    client.incr("jobs")
    client.timing("render", 1)
    time.sleep(0.001)
    note(b"j")

@signals.worker_process_shutdown.connect
def at_shutdown(**_):
    client.incr("goodbyes")
    note(b"g")
"""

CLIENT_FIRST = "from vitald import Client\nfrom celery import Celery, signals"
CELERY_FIRST = "from celery import Celery, signals\nfrom vitald import Client"
REPLACED = ["--max-tasks-per-child", "20"]

# A cold shutdown amid replacements may hang Celery itself.
RUNS = {
    "the client first": (CLIENT_FIRST, [], signal.SIGTERM),
    "celery first": (CELERY_FIRST, [], signal.SIGTERM),
    "replaced": (CLIENT_FIRST, REPLACED, signal.SIGTERM),
    "cold shutdown": (CELERY_FIRST, [], signal.SIGQUIT),
}

WSGI_APP = """
from vitald import Client
client = Client(flush_interval=3600)

def note(what):
    with open("log", "ab", buffering=0) as log:
        log.write(what)

client.incr("loaded")
note(b"l")

def application(environment, start_response):
    client.incr("requests")
    client.timing("render", 1)
    note(b"r")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

# gunicorn's workers say when they are up and when they go. One that gets SIGTERM as it begins may
# miss it, and is killed after half a minute.
GUNICORN_CONF = """
bind, workers, control_socket_disable = "unix:http.sock", {workers}, True

def note(what):
    with open("log", "ab", buffering=0) as log:
        log.write(what)

def post_worker_init(worker):
    note(b"u")

def worker_exit(server, worker):
    note(b"x")
"""

WORKERS = 3
TASKS, REQUESTS = 120, 60


@pytest.fixture
def sink(tmp_path):
    receiver = Sink("udp", tmp_path)
    yield receiver
    receiver.close()


@pytest.fixture
def start(tmp_path, sink):
    """Start a Python program in the test's folder; kill it, and its workers, after a failure."""
    started = []

    def start(*command):
        environment = {**os.environ, "VITALD_URL": sink.url, "PYTHONPATH": str(tmp_path)}
        with (tmp_path / "output").open("ab") as output:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=tmp_path,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def noted(tmp_path):
    """Return how often each byte was noted."""
    log = tmp_path / "log"

    def noted():
        return Counter(log.read_text()) if log.exists() else Counter()

    return noted


def wait_until(condition, process, tmp_path):
    deadline = time.monotonic() + 60
    while not condition():
        output = (tmp_path / "output").read_text()
        assert process.poll() is None, output
        assert time.monotonic() < deadline, output
        time.sleep(0.01)


def assert_all_came(sink, expected):
    tally = tally_of(sink.lines())
    samples = tally.things.pop("render 1.0")
    assert not tally.things
    assert (tally.sums, samples) == (expected, expected.get("jobs") or expected["requests"])


@pytest.mark.parametrize(("imports", "options", "end"), RUNS.values(), ids=RUNS.keys())
def test_celerys_workers_lose_nothing(start, tmp_path, sink, noted, imports, options, end):
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app.py").write_text(CELERY_APP.format(imports=imports))
    (tmp_path / "send.py").write_text(f"import app\nfor _ in range({TASKS}): app.job.delay()\n")
    sender = start("send")
    assert sender.wait(30) == 0, (tmp_path / "output").read_text()
    lonely = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = start("celery", "-A", "app", "worker", "-c", str(WORKERS), *lonely, *options)
    wait_until(lambda: noted()["j"] == TASKS, worker, tmp_path)
    worker.send_signal(end)
    worker.wait(30)
    expected = {"jobs": TASKS, "goodbyes": noted()["g"]}
    assert expected["goodbyes"] >= WORKERS
    assert_all_came(sink, expected)


SERVERS = {
    "sync": [],
    "sync, preloaded": ["--preload"],
    "sync, replaced": ["--preload", "--max-requests", "10"],
    "threads": ["--worker-class", "gthread", "--threads", "4"],
    "threads, replaced": ["--worker-class", "gthread", "--threads", "4", "--max-requests", "10"],
    "gevent": ["--worker-class", "gevent"],
}


def ask(path):
    """Make one request; return whether it was answered."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        try:
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := sock.recv(4096):
                answer += chunk
        except OSError:
            return False
    return answer.endswith(b"ok")


@pytest.mark.parametrize("options", SERVERS.values(), ids=SERVERS.keys())
def test_gunicorns_workers_lose_nothing(start, tmp_path, sink, noted, options):
    (tmp_path / "app.py").write_text(WSGI_APP)
    (tmp_path / "gunicorn.conf.py").write_text(GUNICORN_CONF.format(workers=WORKERS))
    server = start("gunicorn", *options, "app:application")
    while noted()["r"] < REQUESTS:
        wait_until(lambda: ask(tmp_path / "http.sock"), server, tmp_path)
    wait_until(lambda: noted()["u"] - noted()["x"] == WORKERS, server, tmp_path)
    server.terminate()
    assert server.wait(40) == 0, (tmp_path / "output").read_text()
    assert_all_came(sink, {"loaded": noted()["l"], "requests": noted()["r"]})
