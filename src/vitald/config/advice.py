"""Warnings: what a file may say, and its owner may not have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from vitald.config import paths
from vitald.config.faults import Fault, Position
from vitald.config.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitald.config.faults import Path
    from vitald.config.model import Config
    from vitald.config.source import Item

_READABLE = 0o044
_WRITABLE_BY_ALL = 0o002


def warnings_about(config: Config, root: Item, permissions: int) -> list[Fault]:
    """Return warnings about a valid file with these permissions (0 when it is no regular file)."""
    warnings = []
    if permissions & _WRITABLE_BY_ALL:
        message = "everyone may change this file, and with it run programs as the sidecar"
        warnings.append(Fault(Position(1, 1), (), message))
    if permissions & _READABLE:
        warnings += _literal_secrets(config, root)
    if config.http is not None and not config.http.is_local:
        message = f"{config.http} answers other machines, and asks nobody for a password"
        warnings.append(_about(("http",), root, message))
    if config.control_socket not in {None, paths.control_socket()}:
        message = "commands do not read this file: give them --socket or set $VITALD_SOCKET"
        warnings.append(_about(("control_socket",), root, message))
    return warnings


def _literal_secrets(config: Config, root: Item) -> Iterator[Fault]:
    message = (
        "a secret stands in a file that others may read: chmod 600 it, or write {env: NAME} or "
        "{file: PATH}"
    )
    for section in ("checks", "forward"):
        if section not in root.value:
            continue
        for entry in getattr(config, section):
            for path in _literals(entry.options, (section, entry.name)):
                yield _about(path, root, message)


def _literals(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Secret):
        if value.is_literal:
            yield path
        return
    pairs: Any = ()
    if isinstance(value, BaseModel):
        pairs = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    for part, inner in pairs:
        yield from _literals(inner, (*path, part))


def _about(path: Path, root: Item, message: str) -> Fault:
    found, at = root.locate(path)
    return Fault(at, found, message)
