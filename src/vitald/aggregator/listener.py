"""A listener: one address of the config, bound, and its lines given to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitald.aggregator.sockets import Address, bind
from vitald.aggregator.stream import StreamListener
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect

if TYPE_CHECKING:
    import socket

    from vitald.aggregator.engine import Engine


class Listener:
    """Binds on construction, so that a failed start has received nothing (raises StartError).

    `address` afterwards has the port that the kernel chose for port 0.
    """

    def __init__(
        self,
        address: Address,
        engine: Engine,
        *,
        dialect: Dialect = DEFAULT_DIALECT,
        receive_buffer: int = 0,
        mode: int = 0o600,
    ) -> None:
        self._engine = engine
        self._dialect = dialect
        self._sock = bind(address, receive_buffer=receive_buffer, mode=mode)
        self.address = _bound(address, self._sock)
        self._file = _inode(address.path) if address.path else None
        self._stream = None if self._is_datagram else StreamListener(self._sock, self._take)

    @property
    def _is_datagram(self) -> bool:
        return self.address.scheme in {"udp", "unixgram"}

    @property
    def refused_connections(self) -> int:
        """Return how many connections were turned away because there were too many."""
        return self._stream.refused if self._stream else 0

    async def start(self) -> None:
        if self._stream is not None:
            self._take(b"", False)  # shown from the start, not from the first line
            await self._stream.start()
        else:
            self._engine.attach(self._sock, str(self.address), self._dialect)

    async def stop(self) -> None:
        """Take what has arrived, then close; leaves no socket file."""
        if self._stream is not None:
            await self._stream.stop()
        else:
            self._engine.detach(self._sock)
        self.close()

    def close(self) -> None:
        """Give the address back without taking anything: for a start that failed elsewhere.

        A file that somebody else has put in our place stays. Ours goes first: as long as the socket
        is open, no other file can have its inode number.
        """
        if self._file is not None and self._file == _inode(self.address.path):
            Path(self.address.path).unlink(missing_ok=True)
        self._file = None
        self._sock.close()

    def _take(self, data: bytes, cut: bool) -> None:
        self._engine.ingest(data, label=str(self.address), cut=cut, dialect=self._dialect)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bound(address: Address, sock: socket.socket) -> Address:
    return address if address.path else address._replace(port=sock.getsockname()[1])
