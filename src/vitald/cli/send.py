"""`vitald send`: one value, from a shell."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import click

from vitald.cli.options import tag_option
from vitald.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.client.target import Target

TYPES = ("c", "g", "ms", "h", "d", "s")
# Seconds to wait for a stream to connect, or for a Unix socket whose queue is full.
TIMEOUT = 5.0


# A negative number is a value here, not an option.
@click.command(
    short_help="Send one value, as a service would.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("wire_type", metavar="|".join(TYPES), type=click.Choice(TYPES))
@click.argument("name")
@click.argument("value")
@tag_option("Add this tag; without a value it is a bare tag.")
@click.option("--rate", metavar="R", type=float, help="The value stands for 1/R such values.")
@click.option("--delta", is_flag=True, help="Change the gauge by VALUE instead of setting it.")
@click.option("--to", metavar="URL", help="Send to udp://, tcp://, unixgram:// or unix://.")
def command(
    *,
    wire_type: str,
    name: str,
    value: str,
    tags: Sequence[tuple[str, str | None]],
    rate: float | None,
    delta: bool,
    to: str | None,
) -> None:
    """Send one value: c counter, g gauge, ms timer, h histogram, d distribution, s set.

    It goes to --to, else where the client of a service would send it: $VITALD_URL, $STATSD_HOST
    and $STATSD_PORT, $DD_AGENT_HOST and $DD_DOGSTATSD_PORT, localhost:8125. Nobody listening is
    exit code 69; over UDP only this machine can tell.
    """
    pairs = [(key, word or "") for key, word in tags]
    lines = _lines(wire_type, name, value, tags=pairs, rate=rate, delta=delta)
    target = _target(to)
    try:
        _send(target, "\n".join(lines).encode())
    except OSError as error:
        cause = error.strerror or str(error)
        raise UnreachableError(f"cannot send to {target}: {cause.lower()}") from error


def _lines(
    wire_type: str,
    name: str,
    value: str,
    *,
    tags: list[tuple[str, str]],
    rate: float | None,
    delta: bool,
) -> list[str]:
    from vitald.wire import encode

    if encode.clean_name(name) != name:
        raise click.UsageError(f"{name!r} is no name: only {encode.clean_name(name)!r} would be")
    for tag in tags:
        if encode.clean_tag(*tag) != tag:
            raise click.UsageError(f"{'='.join(tag)!r} is no tag: it has a character of the wire's")
    if delta and wire_type != "g":
        raise click.UsageError("--delta is for gauges (g)")
    if rate is not None and wire_type in {"g", "s"}:
        raise click.UsageError(f"--rate means nothing to {wire_type}: it is no number of samples")
    if wire_type == "s":
        if encode.clean_member(value) != value:
            raise click.UsageError(
                f"{value!r} is no member of a set: it has a character of the wire's"
            )
        text = value
    else:
        number = _number(value)
        if wire_type == "g" and not delta:
            return encode.gauge_lines(name, number, tags)
        text = encode.signed(number) if delta else encode.number(number)
    try:
        return [encode.metric_line(name, text, wire_type, 1.0 if rate is None else rate, tags)]
    except ValueError as error:
        raise click.UsageError(str(error).partition(": ")[2]) from error


def _number(text: str) -> float:
    from vitald.wire.number import parse_number

    value = parse_number(text.encode("utf-8", "replace"))
    if value is None:
        raise click.UsageError(f"{text!r} is no number")
    return int(text) if text.lstrip("+-").isdigit() else value


def _target(url: str | None) -> Target:
    from vitald.client.target import from_environment, parse_url

    if url is None:
        target, faults = from_environment(os.environ)
        if faults:
            raise click.UsageError(faults[0])
        return target
    try:
        return parse_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from error


def _send(target: Target, packet: bytes) -> None:
    if target.path:
        kind = socket.SOCK_STREAM if target.scheme == "unix" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_UNIX, kind) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(target.path)
            sock.sendall(packet + b"\n" if kind == socket.SOCK_STREAM else packet)
    elif target.scheme == "tcp":
        with socket.create_connection((target.host, target.port), TIMEOUT) as sock:
            sock.sendall(packet + b"\n")
    else:
        _send_udp(target, packet)


def _send_udp(target: Target, packet: bytes) -> None:
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
    refused: OSError | None = None
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as sock:
            try:
                sock.connect(address)
                sock.send(packet)
                # The kernel has delivered to this machine's own sockets by now; where none is
                # bound, its refusal waits on the connected socket.
                error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not error:
                    return
                refused = OSError(error, os.strerror(error))
            except OSError as failure:
                refused = failure
    if refused is not None:
        raise refused
