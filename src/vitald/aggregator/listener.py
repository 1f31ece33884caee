"""A listener: one address of the config, bound, and its lines given to the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitald.aggregator.sockets import Address, bind, bind_shared
from vitald.aggregator.stream import StreamListener
from vitald.errors import StartError, system_cause
from vitald.wire.dialect import DEFAULT_DIALECT, Dialect

if TYPE_CHECKING:
    import socket

    from vitald.aggregator.engine import Engine


class Listener:
    """Binds on construction, so that a failed start has received nothing (raises StartError).

    `address` afterwards has the port that the kernel chose for port 0. With more than one of
    `readers` (UDP only) that many sockets share the address; the kernel deals the senders out.
    """

    def __init__(
        self,
        address: Address,
        engine: Engine,
        *,
        dialect: Dialect = DEFAULT_DIALECT,
        receive_buffer: int = 0,
        mode: int = 0o600,
        readers: int = 1,
    ) -> None:
        self._engine = engine
        self._dialect = dialect
        self._socks = (
            bind_shared(address, readers, receive_buffer=receive_buffer)
            if readers > 1
            else [bind(address, receive_buffer=receive_buffer, mode=mode)]
        )
        self.address = _bound(address, self._socks[0])
        self._file = _inode(address.path) if address.path else None
        self._stream = None if self._is_datagram else StreamListener(self._socks[0], self._take)

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
            return
        try:
            for sock in self._socks:
                self._engine.attach(sock, str(self.address), self._dialect)
        except OSError as error:
            self._detach()
            cause = system_cause(error)
            raise StartError(f"cannot receive on {self.address}: {cause}") from error

    async def stop(self) -> None:
        """Take what has arrived, then close; leaves no socket file."""
        if self._stream is not None:
            await self._stream.stop()
        else:
            self._detach()
        self.close()

    def close(self) -> None:
        """Give the address back without taking anything: for a start that failed elsewhere.

        A file that somebody else has put in our place stays. Ours goes first: as long as the socket
        is open, no other file can have its inode number.
        """
        if self._file is not None and self._file == _inode(self.address.path):
            Path(self.address.path).unlink(missing_ok=True)
        self._file = None
        for sock in self._socks:
            sock.close()

    def _detach(self) -> None:
        """Take what has arrived.

        Of sockets that share an address each is closed at once: its senders go to the others.
        """
        for sock in self._socks:
            self._engine.detach(sock)
            if len(self._socks) > 1:
                sock.close()

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
