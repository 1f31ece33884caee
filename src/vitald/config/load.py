"""Load a configuration: everything that is wrong with it at once, or a frozen `Config`."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vitald.config import crosscheck, paths, plugins
from vitald.config.advice import warnings_about
from vitald.config.entries import CHECKS, FORWARD, built_in_entries, read_entries
from vitald.config.faults import dotted, render
from vitald.config.model import DEFAULT_CHECKS, Config
from vitald.config.plugins import PluginError
from vitald.config.source import MAX_BYTES, Item, parse
from vitald.config.units import printable
from vitald.config.validate import validate
from vitald.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vitald.config.faults import Fault


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it came from.

    `path` is None for the built-in default. `warnings` are lines like those of faults. `origins`
    has `line:column` of every key that the file has, by its dotted name (`checks.api.timeout`).
    """

    config: Config
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)


def load(path: Path | None = None) -> Loaded:
    """Load `path`, else the file that `paths.config_file` finds, else the built-in default.

    Raises ConfigError with one `file:line:column: key: message` for every fault. Reads the secrets
    that the file refers to; changes nothing.
    """
    path = path or paths.config_file()
    if path is None:
        return built_in()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        fault = f"{printable(str(path))}: cannot read the configuration: {cause}"
        raise ConfigError([fault]) from error
    permissions = stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0
    loaded = read(data, str(path), path.absolute().parent, permissions)
    return Loaded(loaded.config, path, loaded.warnings, loaded.origins)


def built_in() -> Loaded:
    """Return the default configuration: this machine's own checks, and nothing forwarded."""
    return Loaded(Config(checks=_default_checks()))


def read(data: bytes, file: str, directory: Path, permissions: int = 0) -> Loaded:
    """Read a configuration's text; `file` names it in messages.

    `directory` is what relative paths in it are relative to; `permissions` are those of the file.
    """
    plugins.refresh()
    root, faults = parse(data)
    if faults and not root.value:
        raise ConfigError(render(file, faults))
    config, more = _config(root, directory)
    faults += more
    if faults or config is None:
        raise ConfigError(render(file, faults))
    origins = {dotted(path): f"{at.line}:{at.column}" for path, at in root.walk()}
    advice = warnings_about(config, root, permissions)
    return Loaded(config, None, tuple(render(file, advice)), origins)


def _config(root: Item, directory: Path) -> tuple[Config | None, list[Fault]]:
    context = {"directory": directory}
    values: dict[str, Any] = {
        # Keys of this form hold what other keys repeat by alias, as in Compose files.
        key: item.plain()
        for key, item in root.value.items()
        if not key.startswith("x-")
    }
    faults: list[Fault] = []
    for kind in (CHECKS, FORWARD):
        if kind.section in values:
            entries, found = read_entries(kind, root, context)
            values[kind.section] = tuple(entries)
            faults += found
    if "checks" not in values:
        values["checks"] = _default_checks()
    config, found = validate(Config, values, root, (), context)
    faults += found
    faults += crosscheck.dependencies(root)
    if config is not None:
        faults += crosscheck.repeated_listeners(root, [each.url for each in config.listen])
    return config, faults


def _default_checks() -> tuple[Any, ...]:
    try:
        return tuple(built_in_entries(CHECKS, DEFAULT_CHECKS))
    except (PluginError, ValueError) as error:
        # A damaged installation: it must not look like a fault of the user's file.
        cause = str(error).replace("\n", " ")
        raise ConfigError([f"cannot use the built-in checks: {cause}"]) from error
