from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vitald.aggregator.control_socket import ControlSocket
from vitald.errors import StartError

HOLDER = """
import os, sys
from pathlib import Path
from vitald.aggregator.control_socket import ControlSocket
from vitald.errors import StartError

control = ControlSocket(Path(sys.argv[1]))
try:
    sock = control.open()
except StartError as error:
    print(error, flush=True)
    sys.exit(69)
print("bound", flush=True)
sys.stdin.read()
control.close()
"""


def holder(path):
    """Start a process that holds the control socket until its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


def opened(path):
    control = ControlSocket(path)
    return control, control.open()


def files(place):
    return sorted(entry.name for entry in place.iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_socket_is_0600_in_a_directory_0700_whatever_the_umask(place, umask):
    path = place / "run" / "control.sock"
    before = os.umask(umask & 0o077)
    try:
        path.parent.mkdir(mode=0o700)
        os.umask(umask)
        control, sock = opened(path)
    finally:
        os.umask(before)
    with sock:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.with_name("control.sock.lock").stat().st_mode) == 0o600
    control.close()


def test_a_missing_directory_is_made_for_its_owner_alone(place):
    before = os.umask(0)
    try:
        control, sock = opened(place / "run" / "control.sock")
    finally:
        os.umask(before)
    sock.close()
    assert stat.S_IMODE((place / "run").stat().st_mode) == 0o700
    control.close()


def test_the_socket_is_at_no_moment_more_open_than_0600(place, monkeypatch):
    path = place / "control.sock"
    modes = []
    chmod = Path.chmod

    def spy(*arguments, **keywords):
        modes.append(stat.S_IMODE(path.stat().st_mode))
        chmod(*arguments, **keywords)

    monkeypatch.setattr(Path, "chmod", spy)
    before = os.umask(0)
    try:
        control, sock = opened(path)
    finally:
        os.umask(before)
    sock.close()
    control.close()
    assert modes == [0o600]


def test_closing_leaves_no_file(place):
    control, sock = opened(place / "control.sock")
    control.close()
    sock.close()
    assert files(place) == []
    control.close()


def test_a_second_sidecar_is_refused_with_the_firsts_process_id(place):
    path = place / "control.sock"
    process = holder(path)
    try:
        assert process.stdout.readline() == "bound\n"
        with pytest.raises(StartError) as raised:
            ControlSocket(path).open()
        assert str(raised.value) == (
            f"cannot bind control socket {path}: another sidecar is running (pid {process.pid})"
        )
    finally:
        end(process)
    assert files(place) == []


def test_a_sidecar_that_answers_is_refused_even_when_its_lock_file_is_gone(place):
    path = place / "control.sock"
    process = holder(path)
    try:
        assert process.stdout.readline() == "bound\n"
        path.with_name("control.sock.lock").unlink()
        with pytest.raises(StartError, match=rf"another sidecar is running \(pid {process.pid}\)"):
            ControlSocket(path).open()
        assert path.exists()
    finally:
        end(process)


def test_a_sidecar_that_is_too_busy_to_accept_is_not_taken_for_gone(place):
    path = place / "control.sock"
    clients = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(path))
        busy.listen(0)
        try:
            while True:
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                client.setblocking(False)
                clients.append(client)
                client.connect(str(path))
        except BlockingIOError:
            pass
        with pytest.raises(StartError, match=r"another sidecar is running$"):
            ControlSocket(path).open()
        assert path.exists()
    for client in clients:
        client.close()


def test_what_a_killed_sidecar_left_is_taken_over(place):
    path = place / "control.sock"
    process = holder(path)
    assert process.stdout.readline() == "bound\n"
    process.kill()
    end(process)
    assert files(place) == ["control.sock", "control.sock.lock"]
    control, sock = opened(path)
    sock.close()
    control.close()
    assert files(place) == []


@pytest.mark.parametrize("content", [b"", b"rubbish\xff", b"-1", b"9" * 40])
def test_a_lock_file_without_a_process_id_is_no_obstacle(place, content):
    path = place / "control.sock"
    path.with_name("control.sock.lock").write_bytes(content)
    control, sock = opened(path)
    sock.close()
    assert path.with_name("control.sock.lock").read_text() == f"{os.getpid()}\n"
    control.close()


def test_a_sidecar_that_holds_the_lock_and_does_not_listen_yet_is_not_disturbed(place):
    path = place / "control.sock"
    with path.with_name("control.sock.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        with pytest.raises(StartError, match=r"another sidecar is running \(pid 4711\)"):
            ControlSocket(path).open()
    assert not path.exists()


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_worth_nothing(place, monkeypatch):
    path = place / "control.sock"
    lock_path = path.with_name("control.sock.lock")
    flock = fcntl.flock

    def flock_too_late(*arguments):
        lock_path.unlink()
        monkeypatch.setattr(fcntl, "flock", flock)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", flock_too_late)
    control, sock = opened(path)
    with sock:
        assert lock_path.read_text() == f"{os.getpid()}\n"
    control.close()


def test_a_path_that_is_no_socket_is_refused_and_left_alone(place):
    path = place / "control.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="not a socket"):
        ControlSocket(path).open()
    assert path.read_text() == "precious"
    assert files(place) == ["control.sock"]


def test_a_path_that_is_too_long_is_refused_in_one_line(place):
    path = place / ("x" * 200)
    with pytest.raises(StartError, match=r"^cannot bind .*too long"):
        ControlSocket(path).open()
    assert files(place) == []


def test_a_directory_that_cannot_be_made_is_refused_in_one_line(place):
    (place / "file").write_text("")
    path = place / "file" / "control.sock"
    with pytest.raises(StartError, match=f"^cannot bind control socket {path}: "):
        ControlSocket(path).open()


def test_a_symbolic_link_in_place_of_the_lock_file_is_not_followed(place):
    (place / "target").write_text("precious")
    (place / "control.sock.lock").symlink_to(place / "target")
    with pytest.raises(StartError, match="cannot bind control socket"):
        ControlSocket(place / "control.sock").open()
    assert (place / "target").read_text() == "precious"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_a_directory_of_another_user_is_refused(place):
    directory = place / "theirs"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    os.chown(directory, 1234, 1234)
    place.chmod(0o755)
    program = HOLDER.replace("control = ", "os.setuid(4321)\ncontrol = ", 1)
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory / "control.sock")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 69, done.stderr
    assert f"{directory} belongs to another user (uid 1234)" in done.stdout


def test_closing_does_not_remove_a_file_that_another_has_put_in_its_place(place):
    path = place / "control.sock"
    control, sock = opened(path)
    with sock:
        path.unlink()
        path.write_text("another's")
        control.close()
    assert path.read_text() == "another's"


def test_of_many_that_start_at_once_exactly_one_wins(place):
    path = place / "control.sock"
    processes = [holder(path) for _ in range(6)]
    said = [process.stdout.readline() for process in processes]
    winners = [p.pid for p, word in zip(processes, said, strict=True) if word == "bound\n"]
    for process in processes:
        end(process)
    assert len(winners) == 1
    refused = [word for word in said if word != "bound\n"]
    assert all("another sidecar is running" in word for word in refused)
    assert files(place) == []


def test_of_many_that_come_and_go_no_two_ever_hold_the_socket_together(place):
    path = place / "control.sock"
    holding = []
    most = []
    failures = []

    def come_and_go():
        for _ in range(40):
            control = ControlSocket(path)
            try:
                sock = control.open()
            except StartError:
                continue
            holding.append(1)
            most.append(len(holding))
            holding.pop()
            sock.close()
            control.close()

    def guarded():
        try:
            come_and_go()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(most) == {1}
    assert files(place) == []
