"""sendmmsg(2) with UDP_SEGMENT through ctypes: native sending speed without a compiler.

One system call hands the kernel a batch of messages, and the kernel cuts each message into
datagrams of one length (udp(7), Linux 4.18). Everything is laid out in memory beforehand, so that
Python does one call per 2,000 or so datagrams, and ctypes releases the GIL during that call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from benchmarks.traffic import Message

SOL_UDP = 17
UDP_SEGMENT = 103
# Nobody listens (yet, or any more); the queue of the interface is full; a signal came.
_PASSING = {errno.ECONNREFUSED, errno.ENOBUFS, errno.EINTR}
_CMSG_HEADER = ctypes.sizeof(ctypes.c_size_t) + 2 * ctypes.sizeof(ctypes.c_int)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("sent", ctypes.c_uint))


class _SegmentControl(ctypes.Structure):
    """One control message that carries the length of a datagram."""

    _fields_ = (
        ("cmsg_len", ctypes.c_size_t),
        ("cmsg_level", ctypes.c_int),
        ("cmsg_type", ctypes.c_int),
        ("segment", ctypes.c_uint16),
        ("padding", ctypes.c_uint8 * 6),
    )


class Sent(NamedTuple):
    """What one or more calls handed to the kernel."""

    datagrams: int = 0
    lines: int = 0

    def plus(self, other: Sent) -> Sent:
        return Sent(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Batch:
    """Messages laid out for the kernel; may be sent any number of times, by any thread."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self.datagrams = sum(message.datagrams for message in messages)
        self.lines = sum(message.lines for message in messages)
        self._payloads = [ctypes.create_string_buffer(m.payload, len(m.payload)) for m in messages]
        self._iovecs = (_Iovec * len(messages))()
        self._controls = (_SegmentControl * len(messages))()
        self._headers = (_Mmsghdr * len(messages))()
        for at, message in enumerate(messages):
            self._fill(at, message)

    def _fill(self, at: int, message: Message) -> None:
        self._iovecs[at] = _Iovec(ctypes.addressof(self._payloads[at]), len(message.payload))
        self._controls[at] = _SegmentControl(
            _CMSG_HEADER + 2, SOL_UDP, UDP_SEGMENT, message.datagram_bytes
        )
        self._headers[at].header = _Msghdr(
            iov=ctypes.addressof(self._iovecs[at]),
            iovlen=1,
            control=ctypes.addressof(self._controls[at]) if message.datagrams > 1 else None,
            controllen=ctypes.sizeof(_SegmentControl) if message.datagrams > 1 else 0,
        )

    def send(self, sock: socket.socket) -> Sent:
        """Hand the batch to the kernel, or a part of it; raises OSError."""
        count = _sendmmsg(sock.fileno(), self._headers, len(self._headers), 0)
        if count < 0:
            number = ctypes.get_errno()
            if number in _PASSING:
                return Sent()
            raise OSError(number, f"cannot send the batch: {os.strerror(number)}")
        if count == len(self._messages):
            return Sent(self.datagrams, self.lines)
        gone = self._messages[:count]
        return Sent(sum(m.datagrams for m in gone), sum(m.lines for m in gone))


_sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_sendmmsg.restype = ctypes.c_int


def can_segment(sock: socket.socket) -> bool:
    """Say whether the kernel cuts messages into datagrams on this socket."""
    try:
        sock.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    except OSError:
        return False
    return True
