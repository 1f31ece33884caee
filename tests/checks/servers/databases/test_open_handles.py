from __future__ import annotations

import os
import subprocess

import pytest

from vitald.checks.open_handles import count_open_handles

NOBODY, SOMEBODY = 65534, 65533


@pytest.fixture
def open_directory(server_directory):
    """Return a directory that every user can look into."""
    return server_directory("handles")


def run_as(user, action):
    """Return what `action` returns in a process of its own that belongs to `user`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.write(writing, repr(action()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


@pytest.fixture
def holder():
    """Return a function that starts a process of `user` which holds `path` open twice."""
    processes = []

    def hold(path, user):
        with path.open() as one, path.open() as other:
            process = subprocess.Popen(
                ["/bin/sleep", "60"],
                pass_fds=[one.fileno(), other.fileno()],
                user=user,
                group=user,
                extra_groups=[],
            )
        processes.append(process)

    yield hold
    for process in processes:
        process.kill()
        process.wait()


def test_each_descriptor_counts_once_however_it_was_opened(tmp_path):
    path, link = tmp_path / "file", tmp_path / "hard link"
    path.write_text("x")
    os.link(path, link)
    (tmp_path / "soft link").symlink_to(path)
    with path.open(), path.open(), link.open():
        assert count_open_handles(str(path)) == 3
        assert count_open_handles(str(tmp_path / "soft link")) == 3


def test_a_file_that_was_replaced_is_another_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open():
        path.rename(tmp_path / "moved")
        path.write_text("new")
        assert count_open_handles(str(tmp_path / "moved")) == 1
        assert count_open_handles(str(path)) != 1


def test_without_proc_nothing_can_be_told(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    assert count_open_handles(str(path), proc=str(tmp_path / "proc")) is None
    (tmp_path / "proc").mkdir()
    assert count_open_handles(str(path), proc=str(tmp_path / "proc")) is None


def test_nobody_holding_it_in_a_namespace_of_our_own_is_unknown_and_not_zero(tmp_path):
    path, proc = tmp_path / "file", tmp_path / "proc"
    path.write_text("x")
    (proc / "1" / "fd").mkdir(parents=True)
    (proc / "self" / "ns").mkdir(parents=True)
    (proc / "self" / "ns" / "pid").write_text("some other namespace")
    assert count_open_handles(str(path), proc=str(proc)) is None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become two users")
def test_what_a_hidden_process_of_the_files_owner_holds_is_unknown(open_directory, holder):
    path = open_directory / "private.db"
    path.write_text("x")
    os.chown(path, SOMEBODY, SOMEBODY)
    holder(path, SOMEBODY)
    assert count_open_handles(str(path)) == 2
    assert run_as(SOMEBODY, lambda: count_open_handles(str(path))) == "2"
    assert run_as(NOBODY, lambda: count_open_handles(str(path))) == "None"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become two users")
def test_hidden_processes_that_cannot_write_the_file_do_not_matter(open_directory, holder):
    path = open_directory / "own.db"
    path.write_text("x")
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o644)
    holder(open_directory / "own.db", NOBODY)
    assert run_as(NOBODY, lambda: count_open_handles(str(path))) == "2"
