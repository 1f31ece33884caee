"""The control socket's file: one sidecar per path, reachable by its own user alone.

A lock file beside the socket (`<path>.lock`, holding the owner's process id) decides races between
two starting sidecars; whoever holds it may judge whether the socket file is stale. A socket file is
removed only when nobody answers on it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from vitald.aggregator.sockets import Address, bind
from vitald.errors import StartError, system_cause

if TYPE_CHECKING:
    from pathlib import Path

_UCRED = struct.Struct("3i")  # pid, uid, gid: see unix(7), SO_PEERCRED


class ControlSocket:
    """A bound, listening control socket and the files that belong to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock = -1
        self._inode: tuple[int, int] | None = None

    def open(self) -> socket.socket:
        """Bind with mode 0600 and return the socket; raise StartError when that cannot be."""
        try:
            self._make_directory()
            self._take_lock()
        except OSError as error:
            raise self._error(_cause(error)) from error
        try:
            self._refuse_running()
            sock = bind(Address("unix", path=str(self.path)), mode=0o600)
        except BaseException:
            self._release_lock()
            raise
        self._inode = _inode(self.path)
        return sock

    def unlink(self) -> None:
        """Remove the socket file, if it is still ours: nobody finds us any more.

        Call it before the socket is closed: only as long as that is open can its inode number not
        have become another file's.
        """
        with suppress(OSError):
            if self._inode is not None and _inode(self.path) == self._inode:
                self.path.unlink()
        self._inode = None

    def close(self) -> None:
        """Remove what is left and let the next sidecar start."""
        self.unlink()
        if self._lock >= 0:
            self._release_lock()

    def _make_directory(self) -> None:
        """Make the directory with mode 0700, or see that no stranger can swap files in it."""
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        me = os.geteuid()
        if me == 0:
            return  # root goes where it is told
        for found in (directory.lstat(), directory.stat()):
            if found.st_uid not in {0, me}:
                raise self._error(f"{directory} belongs to another user (uid {found.st_uid})")

    def _take_lock(self) -> None:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(self._lock_path, flags, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(lock, 20).decode("ascii", "replace").strip()
                os.close(lock)
                raise self._running(int(owner) if owner.isdigit() else 0) from None
            except OSError:
                os.close(lock)
                raise
            # The one before us may have removed the file between our open and our lock; then the
            # lock is on a file that nobody else will ever open.
            if _inode(self._lock_path) == _inode(lock):
                break
            os.close(lock)
        os.fchmod(lock, 0o600)  # whatever the umask took away
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def _release_lock(self) -> None:
        with suppress(OSError):
            self._lock_path.unlink()
        os.close(self._lock)
        self._lock = -1

    def _refuse_running(self) -> None:
        """Refuse when somebody answers, lock or no lock; leave a stale file to `bind`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self.path))
            except BlockingIOError:  # its backlog is full: busy, not gone
                raise self._running(0) from None
            except OSError:
                return
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            raise self._running(_UCRED.unpack(credentials)[0])

    def _running(self, pid: int) -> StartError:
        return self._error("another sidecar is running" + (f" (pid {pid})" if pid else ""))

    def _error(self, cause: str) -> StartError:
        return StartError(f"cannot bind control socket {self.path}: {cause}")


def _inode(file: Path | int) -> tuple[int, int] | None:
    try:
        found = os.fstat(file) if isinstance(file, int) else file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _cause(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return system_cause(error) + where
