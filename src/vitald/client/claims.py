"""What one client in one process says it handed to its socket (`vitald.wire.claims`).

Every datagram that carries samples ends with a stamp, a counter of the samples in it. What the
kernel took of such datagrams is claimed in gauges, at the end of a pass. The sidecar adds the
stamps up: what it has less of than the client claims was lost on the way.

A datagram counts as claimed when it leaves, and only if it carries this client's stamp. So it does
not matter which datagrams are stamped: one that has no room for a stamp, the reports of drops and
the claims themselves are in neither sum.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from time import monotonic, time

from vitald.client.accounts import Tally
from vitald.wire.claims import CLAIMED, CLAIMED_DATAGRAMS, CLIENT, RECEIVED, STARTED
from vitald.wire.encode import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A burst that overflows the receiver's buffer takes the claim behind it along. So every claim is
# made twice, the second time one pass later.
_TIMES = 2
# A smaller datagram would be a stamp and hardly anything else.
_LEAST_SHARE = 4
_GAUGES = (CLAIMED, CLAIMED_DATAGRAMS, STARTED)
_PROGRAM_LENGTH = 32
_COUNT_DIGITS = 10
# Every container has a process 1, often of the same program, and all may share a sidecar.
_CHANCE_BYTES = 3


class Claims:
    """The stamps and claims of one client; any thread may call any method but `report`.

    `quiet` is how long, in seconds, a process must live before it begins: one that is gone sooner
    would leave the sidecar four series for nothing. `client` is who says it; reports of drops
    carry it as a tag, too.
    """

    def __init__(
        self,
        *,
        quiet: float = 0.0,
        wall: Callable[[], float] = time,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._quiet, self._wall, self._clock = quiet, wall, clock
        self.renew()

    def renew(self) -> None:
        """Begin anew, as another client: in a child, and when the receiver becomes another one."""
        self.client = f"{_program()}-{os.getpid()}-{os.urandom(_CHANCE_BYTES).hex()}"
        self._begins_at = self._clock() + self._quiet
        self._started = ""
        self._samples, self._datagrams = Tally(), Tally()
        # The samples of the datagram that left last, None without a stamp: see `refused`.
        self._newest: deque[int | None] = deque(maxlen=1)
        self._said, self._times = (0, 0), _TIMES
        tags = [(CLIENT, self.client)]
        before, after = frame(RECEIVED, "c", tags=tags)
        self._before, self._after = before.encode(), after.encode()
        self._gauges = [frame(name, "g", tags=tags) for name in _GAUGES]
        self._room = len(self._before) + _COUNT_DIGITS + len(self._after) + 1

    def payload(self, size: int) -> int:
        """Return how many bytes of a datagram of `size` lines may fill when it is stamped.

        `size` itself when that is too small: then only datagrams that happen to have room are.
        """
        return size - self._room if self._room * _LEAST_SHARE <= size else size

    def stamp(self, samples: int) -> bytes | None:
        """Return the line that a datagram of so many samples ends with; None when it has none."""
        if not samples or self._clock() < self._begins_at:
            return None
        return b"%b%d%b" % (self._before, samples, self._after)

    def sent(self, datagram: bytes, samples: int) -> None:
        """Note that the kernel took a datagram, stamped or not."""
        if datagram.endswith(self._after):
            self._started = self._started or f"{self._wall():.3f}"
            self._samples.add(samples)
            self._datagrams.add(1)
            self._newest.append(samples)
        else:
            self._newest.append(None)

    def refused(self) -> None:
        """Take the newest datagram back, as the accounts do: it counts as dropped by the client."""
        try:
            samples = self._newest.pop()
        except IndexError:  # another thread was faster
            return
        if samples is not None:
            self._samples.add(-samples)
            self._datagrams.add(-1)

    def report(self) -> list[bytes]:
        """Return the claims to send at the end of a pass; none when all was said, twice.

        Ask at the end of every pass in which the receiver took what it got, also of one that had
        nothing to send: then it is the second time.
        """
        now = self._samples.value(), self._datagrams.value()
        if now != self._said:
            self._said, self._times = now, 0
        if self._times >= _TIMES:
            return []
        self._times += 1
        values = *now, self._started
        return [
            f"{before}{value}{after}".encode()
            for (before, after), value in zip(self._gauges, values, strict=True)
        ]


def _program() -> str:
    """Return the name of the running program, of characters that need no care anywhere."""
    path = (getattr(sys, "argv", None) or [""])[0]
    folder, _, name = path.replace("\\", "/").rstrip("/").rpartition("/")
    if name == "__main__.py":  # python -m package
        name = folder.rpartition("/")[2]
    name = name.removesuffix(".py")
    kept = "".join(each if each.isascii() and each.isalnum() else "_" for each in name)
    return kept.strip("_")[:_PROGRAM_LENGTH] or "python"
