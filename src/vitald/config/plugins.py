"""Plug-ins: a type named in the file becomes a class, through entry points.

Only the types that a file uses are imported. vitald's own types are entry points like anybody
else's, and a name of its own cannot be taken by another distribution.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import NamedTuple

from vitald.config.suggest import suggestion
from vitald.config.units import printable, quoted
from vitald.errors import VitaldError

CHECKS = "vitald.checks"
FORWARDERS = "vitald.forwarders"

_NOUNS = {CHECKS: "check", FORWARDERS: "forwarder"}
_OWN = "vitald"


class PluginError(VitaldError):
    """There is no such plug-in, or it is broken; the message names its distribution."""

    exit_code = 65


class Plugin(NamedTuple):
    """An installed type. `target` is `module:Class`."""

    name: str
    target: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.target} of {self.distribution} {self.version}"


def names(group: str) -> list[str]:
    """Return the names of all installed types of a group, sorted; imports none of them."""
    return sorted(_installed(group))


def built_in(group: str) -> list[str]:
    """Return the names of vitald's own types of a group, sorted."""
    return sorted(_own(group))


def refresh() -> None:
    """Look again at the next question: something may have been installed meanwhile."""
    _installed.cache_clear()


def find(group: str, name: str) -> Plugin:
    """Return where a type is, without importing it; raises PluginError."""
    # Reading one distribution's entry points takes a tenth of reading everybody's.
    plugin = _own(group).get(name) or _installed(group).get(name)
    if plugin is None:
        noun = _NOUNS.get(group, "plug-in")
        raise PluginError(
            f"there is no {noun} type {quoted(name)}{suggestion(name, names(group), 'installed')}"
        )
    return plugin


def load(group: str, name: str) -> type:
    """Import and return a type's class; raises PluginError naming the distribution at fault."""
    plugin = find(group, name)
    noun = _NOUNS.get(group, "plug-in")
    try:
        loaded = metadata.EntryPoint(name, plugin.target, group).load()
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {printable(str(error)[:200])}"
        raise PluginError(f"cannot load {noun} type {name} ({plugin}): {cause}") from error
    if not isinstance(loaded, type):
        raise PluginError(f"cannot load {noun} type {name} ({plugin}): it is no class")
    return loaded


@cache
def _own(group: str) -> dict[str, Plugin]:
    try:
        return _plugins(group, metadata.distribution(_OWN))
    except metadata.PackageNotFoundError:
        return {}


@cache
def _installed(group: str) -> dict[str, Plugin]:
    found: dict[str, Plugin] = {}
    for distribution in _distributions():
        for name, plugin in _plugins(group, distribution).items():
            found.setdefault(name, plugin)
    return found | _own(group)


def _distributions() -> list[metadata.Distribution]:
    # Sorted, so that of two distributions with one name the same one wins every time.
    return sorted(metadata.distributions(), key=lambda found: _name(found).lower())


def _plugins(group: str, distribution: metadata.Distribution) -> dict[str, Plugin]:
    entries = [entry for entry in distribution.entry_points if entry.group == group]
    if not entries:
        return {}
    name, version = _name(distribution), _metadata(distribution, "Version")
    return {entry.name: Plugin(entry.name, entry.value, name, version) for entry in entries}


def _name(distribution: metadata.Distribution) -> str:
    return _metadata(distribution, "Name")


def _metadata(distribution: metadata.Distribution, key: str) -> str:
    try:
        return str((distribution.metadata.get_all(key) or ["(unknown)"])[0])
    except Exception:
        # What a broken installation left behind: Python's versions differ in what they raise.
        return "(unknown)"
