"""Real servers, started by the tests in directories of their own and ended by process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from vitald.checks.scheduler import Scheduler
from vitald.checks.spec import CheckSpec
from vitald.clock import SystemClock

START_SECONDS = 30.0
PASSWORD = "p@ss/w:rd%"  # every character that a careless URL parser trips over


def need(server, *programs):
    """Return the paths of `programs`; skip, or fail where servers are required."""
    directories = [
        *os.environ.get("PATH", "").split(os.pathsep),
        "/usr/sbin",
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
    ]
    found = {name: shutil.which(name, path=os.pathsep.join(directories)) for name in programs}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        unavailable(server, f"{', '.join(missing)} not found")
    return list(found.values())


def unavailable(server, why):
    message = f"{server}: {why}; see scripts/install-test-servers"
    if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """One server process that can be started, frozen, thawed, killed and started again."""

    def __init__(self, name, argv, *, ready, directory, user=None, stale=None, end=signal.SIGTERM):
        """`stale` is a file that a killed server leaves behind and trips over."""
        self._stale = stale
        self._end = end
        self.name = name
        self.directory = directory
        self.password = PASSWORD
        self._argv = argv
        self._ready = ready
        self._user = user
        self._log = directory / f"{name}.log"
        self._process = None
        self._frozen = False

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        if self._stale is not None:
            self._stale.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_user(self._user),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = self._log.read_text(errors="replace")[-2000:]
                pytest.fail(f"cannot start {self.name}: {said}", pytrace=False)
            time.sleep(0.02)

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self):
        if self._frozen:
            os.kill(self.pid, signal.SIGCONT)
            self._frozen = False

    def end(self, number):
        """Send a signal and wait for the end."""
        self.thaw()
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def stop(self):
        self.end(self._end)

    def kill(self):
        self.end(signal.SIGKILL)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def heal(self):
        """Bring it back to how the next test wants it."""
        self.thaw()
        if self._process.poll() is not None:
            self.start()


def as_user(name):
    """Return the arguments that make a process run as `name`, where we may and must."""
    if name is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def answers(*arguments):
    """Return a function that tells whether a command succeeds now."""
    return lambda: (
        subprocess.run(arguments, capture_output=True, timeout=10, check=False).returncode == 0
    )


@pytest.fixture(scope="session")
def kit():
    """Return what it takes to start one more kind of server."""
    return SimpleNamespace(
        Server=Server,
        PASSWORD=PASSWORD,
        answers=answers,
        as_user=as_user,
        free_port=free_port,
        need=need,
        unavailable=unavailable,
    )


@pytest.fixture(scope="session")
def server_directory():
    """Return a maker of short directories (a Unix socket's path has at most 107 bytes)."""
    made = []

    def make(name, user=None):
        directory = Path(tempfile.mkdtemp(prefix=f"vitald-{name}-"))
        made.append(directory)
        directory.chmod(0o755)
        if user is not None and os.geteuid() == 0:
            shutil.chown(directory, user)
        return directory

    yield make
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server(server_directory):
    redis, cli = need("Redis", "redis-server", "redis-cli")
    directory = server_directory("redis")
    port, tls_port = free_port(), free_port()
    unix_socket, ca, pem = directory / "redis.sock", directory / "ca.pem", directory / "server.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    server = Server(
        "redis",
        [
            *(redis, "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", unix_socket),
            *("--dir", directory, "--save", "", "--appendonly", "no", "--maxclients", "50"),
            *("--requirepass", PASSWORD, "--enable-debug-command", "yes"),
            *("--tls-port", str(tls_port), "--tls-cert-file", pem, "--tls-key-file", pem),
            *("--tls-ca-cert-file", ca, "--tls-auth-clients", "no"),
        ],
        ready=answers(cli, "-s", unix_socket, "-a", PASSWORD, "--no-auth-warning", "ping"),
        directory=directory,
    )
    server.port, server.tls_port, server.ca = port, tls_port, ca
    server.unix_socket = unix_socket
    with server:
        yield server


NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        listen unix:{directory}/nginx.sock;
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {directory}/server.pem;
        ssl_certificate_key {directory}/server.pem;
        location /ready {{ return 200 "all systems go\n"; }}
        location /broken {{ return 503 "no\n"; }}
        location /moved {{ return 302 /ready; }}
        location /loop {{ return 302 /loop; }}
        location /gopher {{ return 302 gopher://127.0.0.1/; }}
        location /gzip {{ add_header Content-Encoding gzip; return 200 x; }}
        location /secret {{
            if ($http_x_token != "let-me-in") {{ return 403; }}
            return 200 "welcome\n";
        }}
    }}
}}
"""


@pytest.fixture(scope="session")
def nginx_server(server_directory):
    (nginx,) = need("nginx", "nginx")
    directory = server_directory("nginx")
    port, tls_port = free_port(), free_port()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    configuration = directory / "nginx.conf"
    configuration.write_text(NGINX.format(directory=directory, port=port, tls_port=tls_port))

    def ready():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    server = Server(
        "nginx",
        [nginx, "-p", directory, "-c", configuration, "-e", "stderr"],
        ready=ready,
        directory=directory,
        stale=directory / "nginx.sock",
    )
    server.url = f"http://127.0.0.1:{port}"
    server.tls_url = f"https://localhost:{tls_port}"
    server.port, server.tls_port, server.ca = port, tls_port, str(directory / "ca.pem")
    server.unix_socket = str(directory / "nginx.sock")
    with server:
        yield server


@pytest.fixture
def nginx(nginx_server):
    yield nginx_server
    nginx_server.heal()


@pytest.fixture
def redis(redis_server):
    yield redis_server
    redis_server.heal()


class Watch:
    """One check under the real scheduler, run when the test says so."""

    def __init__(self, check, options):
        self.transitions = []
        self.emitted = []
        spec = CheckSpec.of("watched", "watched", check, check.Options(**options))
        self.scheduler = Scheduler(
            [spec],
            clock=SystemClock(),
            emit=lambda observations, _durations: self.emitted.extend(observations),
            on_transition=lambda _spec, transition: self.transitions.append(transition),
        )

    async def look(self):
        """Run it once and return the report, with the seconds that the caller waited."""
        started = time.monotonic()
        report = await self.scheduler.run_now("watched")
        return report, time.monotonic() - started


@pytest.fixture
async def watch():
    """Return a maker of watches that report every single result."""
    made = []

    def make(check, **options):
        options = {"fail_after": 1, "recover_after": 1, **options}
        made.append(Watch(check, options))
        return made[-1]

    yield make
    for item in made:
        await item.scheduler.stop()


@pytest.fixture
def unused_port():
    """Return a port of 127.0.0.1 that refuses: it is bound, and nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
async def serve():
    """Return a starter of small, faulty servers: `handle(reader, writer)` gets every connection.

    It returns host and port. A handler that is still busy when the test ends is cancelled.
    """
    servers, tasks = [], set()

    async def start(handle, **options):
        async def connection(reader, writer):
            tasks.add(asyncio.current_task())
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await handle(reader, writer)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(connection, "127.0.0.1", 0, **options)
        servers.append(server)
        return server.sockets[0].getsockname()[:2]

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
