"""Single keys from a terminal, without echo and without waiting for a line."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

SUSPEND = "\x1a"  # ^Z
END = "\x04"  # ^D, and what stands for it when the terminal is gone


class Keyboard:
    """Reads keys while it is entered; without a terminal on stdin there are none.

    ^C interrupts as ever. ^Z comes as a key, so that the screen can be tidied before `suspend`.
    """

    def __init__(self) -> None:
        is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._descriptor = sys.stdin.fileno() if is_terminal else -1

    def __enter__(self) -> Self:
        if self._descriptor >= 0:
            self._before = termios.tcgetattr(self._descriptor)
            self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor >= 0:
            self._give_back()

    def key(self, seconds: float) -> str:
        """Wait up to some seconds for a key and return it, or nothing."""
        if self._descriptor < 0:
            time.sleep(seconds)
            return ""
        if not self._is_typed(seconds):
            return ""
        try:
            typed = os.read(self._descriptor, 1)
            if typed == b"\x1b":
                # An arrow and its like: an escape with more right behind it, and no key of ours.
                while self._is_typed(0.01) and os.read(self._descriptor, 64):
                    pass
        except OSError:  # the terminal hung up
            typed = b""
        return typed.decode("latin-1") or END

    def suspend(self) -> None:
        """Stop as ^Z does, with the terminal as it was; return when brought back."""
        self._give_back()
        # The whole job stops, so that the shell gets its terminal. Where there is no shell that
        # could bring it back, the kernel lets this pass without effect.
        os.kill(0, signal.SIGTSTP)
        self._take()

    def _is_typed(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def _take(self) -> None:
        modes = termios.tcgetattr(self._descriptor)
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        disabled = os.fpathconf(self._descriptor, "PC_VDISABLE")
        modes[6][termios.VSUSP] = bytes([disabled])
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, modes)

    def _give_back(self) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
