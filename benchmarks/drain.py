"""A loop that receives datagrams and does nothing else: the most that one thread of Python can do.

Prints its port; prints how many datagrams it has received whenever it gets SIGUSR1.
"""

from __future__ import annotations

import signal
import socket


def main() -> None:
    received = 0

    def show(*_: object) -> None:
        print(received, flush=True)

    signal.signal(signal.SIGUSR1, show)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        print(sock.getsockname()[1], flush=True)
        receive = sock.recv
        while True:
            receive(65_536)
            received += 1


if __name__ == "__main__":
    main()
