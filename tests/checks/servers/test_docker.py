from __future__ import annotations

import gc
import io
import os
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import closing, contextmanager, suppress

import docker
import pytest

from vitald.checks.docker import DockerCheck
from vitald.status import Status

pytestmark = [
    pytest.mark.server("Docker"),
    pytest.mark.root,
    # Docker's client does not close the sockets on which it got no answer.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

TIMEOUT = 3.0
IMAGE = "vitald-test:1"
SECOND = 1_000_000_000
FOREVER = ["/bin/sleep", "3600"]
STATES = ("running", "paused", "restarting", "stopped", "unhealthy")


class Daemon:
    """A Docker daemon of our own, with one image made from a static busybox."""

    def __init__(self, server, url):
        self.server = server
        self.url = url

    def api(self):
        return closing(docker.APIClient(base_url=self.url, timeout=20))

    def load_image(self, busybox):
        files = io.BytesIO()
        with tarfile.open(fileobj=files, mode="w") as archive:
            archive.add(busybox, "bin/busybox")
            for name in ("sh", "sleep", "true", "false"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        with self.api() as api:
            name, tag = IMAGE.split(":")
            answer = api.import_image_from_data(files.getvalue(), repository=name, tag=tag)
            assert "error" not in answer, answer

    def run(self, name, command=FOREVER, *, healthcheck=None):
        """Start a container; `healthcheck` is the command of its HEALTHCHECK."""
        health = None
        if healthcheck is not None:
            health = {
                "test": ["CMD", *healthcheck],
                "interval": SECOND // 5,
                "timeout": SECOND,
                "retries": 1,
            }
        with self.api() as api:
            settings = api.create_host_config(network_mode="none")
            # The first process of a container ignores SIGTERM, and Docker would wait for it.
            api.create_container(
                IMAGE,
                command,
                name=name,
                host_config=settings,
                healthcheck=health,
                stop_signal="SIGKILL",
            )
            api.start(name)

    def wait_for(self, name, condition):
        deadline = time.monotonic() + 20
        with self.api() as api:
            while not condition(api.inspect_container(name)["State"]):
                assert time.monotonic() < deadline, f"{name} never got there"
                time.sleep(0.05)

    def clear(self):
        with self.api() as api:
            for container in api.containers(all=True):
                api.remove_container(container["Id"], force=True)


@pytest.fixture(scope="module")
def own_daemon(server_directory, kit):
    dockerd, containerd, busybox = kit.need("Docker", "dockerd", "containerd", "busybox")
    if os.geteuid() != 0:
        kit.unavailable("Docker", "dockerd needs root")
    directory = server_directory("docker")
    listen = directory / "docker.sock"
    url = f"unix://{listen}"

    def ready():
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(5)
            client.connect(str(listen))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.0 200")
        return False

    # A containerd of its own, because the one that dockerd starts dies with it half the time, and
    # a restarted dockerd then waits for a process that is gone.
    runtime = kit.Server(
        "containerd",
        [
            *(containerd, "--address", directory / "containerd.sock"),
            *("--root", directory / "containerd", "--state", directory / "state"),
        ],
        ready=(directory / "containerd.sock").exists,
        directory=directory,
    )
    server = kit.Server(
        "dockerd",
        [
            *(dockerd, "--iptables=false", "--ip6tables=false", "--bridge=none", "-H", url),
            *("--data-root", directory / "data", "--exec-root", directory / "exec"),
            *("--pidfile", directory / "docker.pid", "--shutdown-timeout", "1"),
            *("--containerd", directory / "containerd.sock"),
        ],
        ready=ready,
        directory=directory,
    )
    daemon = Daemon(server, url)
    with runtime, mounts_undone(directory / "data"), server:
        daemon.load_image(busybox)
        yield daemon


@contextmanager
def mounts_undone(directory):
    """A daemon that was killed leaves its data mounted upon itself."""
    try:
        yield
    finally:
        while (
            subprocess.run(["umount", directory], capture_output=True, check=False).returncode == 0
        ):
            pass


@pytest.fixture(autouse=True)
def collect_the_clients_sockets():
    yield
    gc.collect()


@pytest.fixture
def daemon(own_daemon):
    yield own_daemon
    own_daemon.server.heal()
    own_daemon.clear()


def look(daemon, **options):
    return DockerCheck(url=daemon.url, timeout=TIMEOUT, **options).run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


def counts(result):
    found = numbers(result)
    return {state: found[f"docker_containers_{state}"] for state in STATES}


def is_unhealthy(state):
    return state["Health"]["Status"] == "unhealthy"


def test_a_daemon_without_containers_is_healthy_with_zeros(daemon):
    result = look(daemon)
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("Docker ")
    assert counts(result) == dict.fromkeys(STATES, 0)


def test_containers_are_counted_by_what_they_do(daemon):
    daemon.run("web")
    daemon.run("mail")
    daemon.run("job", ["/bin/true"])
    daemon.wait_for("job", lambda state: state["Status"] == "exited")
    with daemon.api() as api:
        api.pause("mail")
    result = look(daemon)
    assert result.status is Status.HEALTHY, result.message
    assert counts(result) == {
        "running": 1,
        "paused": 1,
        "restarting": 0,
        "stopped": 1,
        "unhealthy": 0,
    }


def test_a_container_whose_healthcheck_fails_is_named(daemon):
    daemon.run("good", healthcheck=["/bin/true"])
    daemon.run("sick", healthcheck=["/bin/false"])
    daemon.wait_for("sick", is_unhealthy)
    result = look(daemon)
    assert result.status is Status.CRITICAL
    assert result.message.endswith("2 running, 1 container unhealthy: sick")
    assert counts(result)["unhealthy"] == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"unhealthy": "warning"}, Status.WARNING),
        ({"unhealthy": "ignore"}, Status.HEALTHY),
        ({"ignore": ["si*"]}, Status.HEALTHY),
    ],
)
def test_what_an_unhealthy_container_means_can_be_told(daemon, options, status):
    daemon.run("sick", healthcheck=["/bin/false"])
    daemon.wait_for("sick", is_unhealthy)
    result = look(daemon, **options)
    assert (result.status, counts(result)["unhealthy"]) == (status, 1)


def test_a_container_that_must_run_and_does_not_is_named(daemon):
    daemon.run("web-1")
    assert look(daemon, containers=["web-*"]).status is Status.HEALTHY
    result = look(daemon, containers=["web-*", "mail"])
    assert (result.status, "not running: mail" in result.message) == (Status.CRITICAL, True)


def test_a_socket_that_is_not_there_is_unhealthy_with_unknown_numbers(tmp_path):
    result = DockerCheck(url=f"unix://{tmp_path}/docker.sock").run()
    assert result.status is Status.CRITICAL
    where = f"cannot reach Docker at unix://{tmp_path}/docker.sock"
    assert result.message == f"{where}: no such file or directory"
    assert set(numbers(result).values()) == {None}


def test_the_daemon_is_found_as_docker_itself_finds_it(daemon, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    assert DockerCheck(timeout=TIMEOUT).run().status is Status.HEALTHY


def test_a_missing_client_is_unknown_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    result = DockerCheck().run()
    assert (result.status, "install vitald[sidecar]" in result.message) == (Status.UNKNOWN, True)


async def test_frozen_then_thawed_then_killed_then_restarted(daemon, watch):
    daemon.run("web")
    watched = watch(DockerCheck, url=daemon.url, timeout=TIMEOUT)
    report, _ = await watched.look()
    assert (report.label, report.status) == ("healthy", Status.HEALTHY), report.message
    assert report.observations["docker_containers_running"] == 1

    daemon.server.freeze()
    report, seconds = await watched.look()
    assert (report.label, report.status) == ("unhealthy", Status.CRITICAL)
    assert "no answer within 2.5s" in report.message
    assert seconds < TIMEOUT + 0.5
    assert report.observations["docker_containers_running"] is None

    daemon.server.thaw()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    daemon.server.kill()
    report, _ = await watched.look()
    assert (report.label, "connection refused" in report.message) == ("unhealthy", True)
    assert report.observations["docker_containers_running"] is None
    emitted = [item for item in watched.emitted if item.name == "docker_containers_running"]
    assert [item.value for item in emitted] == [1, None, 1, None]

    daemon.server.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message
