"""`checks` and `forward`: entries whose type is a plug-in that says which keys they have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vitald.config import plugins
from vitald.config.faults import Fault
from vitald.config.model import CheckEntry, Entry, ForwarderEntry
from vitald.config.options import CheckOptions, ForwarderOptions
from vitald.config.suggest import suggestion
from vitald.config.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vitald.config.options import Section
    from vitald.config.source import Item

# Names stand in URLs, tags and command lines.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Kind(NamedTuple):
    """What one section of entries is made of."""

    section: str
    group: str
    entry: type[Entry]
    base: type[Section]


CHECKS = Kind("checks", plugins.CHECKS, CheckEntry, CheckOptions)
FORWARD = Kind("forward", plugins.FORWARDERS, ForwarderEntry, ForwarderOptions)


def read_entries(
    kind: Kind, root: Item, context: Mapping[str, Any]
) -> tuple[list[Entry], list[Fault]]:
    """Return the entries of a section that are right, and the faults of the others."""
    item = root.value[kind.section]
    if not isinstance(item.value, dict):
        at = root.keys[kind.section]
        message = "must be a section of names"
        if item.value is None:
            message = "is empty: write {} for none, or leave the key out for the default"
        return [], [Fault(at, (kind.section,), message)]
    entries: list[Entry] = []
    faults: list[Fault] = []
    for name in item.value:
        entry, found = _entry(kind, name, root, context)
        faults += found
        if entry is not None:
            entries.append(entry)
    return entries, faults


def built_in_entries(kind: Kind, sections: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """Return entries that come from vitald itself, and not from a file."""
    entries = []
    for name, section in sections.items():
        plugin = plugins.load(kind.group, str(section["type"]))
        options = options_of(plugin, kind).model_validate(
            {key: value for key, value in section.items() if key != "type"}
        )
        entries.append(kind.entry(name, str(section["type"]), plugin, options))
    return entries


def options_of(plugin: type, kind: Kind) -> type[Section]:
    """Return a plug-in's model of its options; raises PluginError when it has none."""
    options = getattr(plugin, "Options", None)
    if isinstance(options, type) and issubclass(options, kind.base):
        return options
    raise plugins.PluginError(f"its Options is no subclass of {kind.base.__name__}")


def _entry(
    kind: Kind, name: str, root: Item, context: Mapping[str, Any]
) -> tuple[Entry | None, list[Fault]]:
    path = (kind.section, name)
    at = root.value[kind.section].keys[name]
    faults: list[Fault] = []
    if not _NAME.fullmatch(name):
        message = "a name has letters, digits, _ . and - and at most 100 of them"
        faults.append(Fault(at, path, message))
    section = root.value[kind.section].value[name].value
    if not isinstance(section, dict):
        faults.append(Fault(at, path, "must be a section of keys, like {type: …}"))
        return None, faults
    type_ = section["type"].value if "type" in section else None
    if not isinstance(type_, str):
        missing = "must name a type" if "type" in section else 'the key "type" is missing'
        installed = suggestion("", plugins.names(kind.group), "installed")
        return None, [*faults, Fault(at, path, f"{missing}{installed}")]
    try:
        plugin = plugins.load(kind.group, type_)
        model = _options(plugin, kind, type_)
    except plugins.PluginError as error:
        return None, [*faults, Fault(section["type"].at, (*path, "type"), str(error))]
    values = {key: item.plain() for key, item in section.items() if key != "type"}
    options, found = validate(model, values, root, path, context)
    faults += found
    return None if faults else kind.entry(name, type_, plugin, options), faults


def _options(plugin: type, kind: Kind, name: str) -> type[Section]:
    try:
        return options_of(plugin, kind)
    except plugins.PluginError as error:
        where = plugins.find(kind.group, name)
        raise plugins.PluginError(f"cannot use type {name} ({where}): {error}") from error
