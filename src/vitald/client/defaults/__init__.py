"""Ready-made `StatsClient`s from settings: the twins of `statsd.defaults` and its modules.

A setting that cannot be used is named in `faults` and in the log, and its default holds:
telemetry must not keep a service from starting.
"""

from __future__ import annotations

from statsd.defaults import HOST, IPV6, MAXUDPSIZE, PORT, PREFIX

from vitald.client.dropin import StatsClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["HOST", "IPV6", "MAXUDPSIZE", "PORT", "PREFIX", "make_client"]

_SWITCHES = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def make_client(read: Callable[[str], object]) -> tuple[StatsClient, list[str]]:
    """Return the client that the settings describe, and what was wrong with them.

    `read` returns the value of STATSD_HOST, STATSD_PORT, STATSD_PREFIX, STATSD_MAXUDPSIZE or
    STATSD_IPV6; None or an empty text stands for the default.
    """
    faults: list[str] = []

    def setting(name: str, convert: Callable[[object], Any], default: Any) -> Any:
        try:
            value = read(name)
            return default if value is None or value == "" else convert(value)
        except Exception as error:  # settings may be lazy, and may do anything
            faults.append(f"cannot use {name}: {error}; {default!r} is used")
            return default

    arguments = {
        "host": setting("STATSD_HOST", str, HOST),
        "port": setting("STATSD_PORT", _port, PORT),
        "prefix": setting("STATSD_PREFIX", str, PREFIX),
        "maxudpsize": setting("STATSD_MAXUDPSIZE", _size, MAXUDPSIZE),
    }
    if setting("STATSD_IPV6", _switch, IPV6):
        try:
            return StatsClient(**arguments, ipv6=True), _logged(faults)
        except OSError as error:  # a kernel without IPv6
            faults.append(f"cannot use STATSD_IPV6: {error}; {IPV6!r} is used")
    return StatsClient(**arguments), _logged(faults)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no whole number")  # noqa: TRY004  one error type
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{value!r} is no whole number") from None


def _port(value: object) -> int:
    port = _whole(value)
    if not 0 < port < 65536:
        raise ValueError(f"{value!r} is no port")
    return port


def _size(value: object) -> int:
    size = _whole(value)
    if not 0 < size < 65536:
        raise ValueError(f"{value!r} is no size of a packet")
    return size


def _switch(value: object) -> bool:
    try:
        return _SWITCHES[str(value).strip().lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither true nor false") from None


def _logged(faults: list[str]) -> list[str]:
    if faults:
        import logging  # noqa: PLC0415  dear, and only faults need it

        for fault in faults:
            logging.getLogger("vitald.client").warning("%s", fault)
    return faults
