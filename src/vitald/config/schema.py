"""JSON schema of the file, for editors; the plug-ins' options are a union told apart by `type`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitald.config import plugins
from vitald.config.entries import CHECKS, FORWARD, options_of
from vitald.config.listen import write_mode
from vitald.config.model import Config
from vitald.config.units import write_duration, write_percent, write_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.config.entries import Kind
    from vitald.config.options import Section

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
# Notes of the model for the reference page.
_NOTES = frozenset({"reload", "shown", "takes"})
_WRITERS: dict[str, Callable[[Any], str]] = {
    "duration": write_duration,
    "size": write_size,
    "percentage": write_percent,
    "mode": write_mode,
}


def schema() -> dict[str, Any]:
    """Return a JSON schema (2020-12) of the configuration file.

    It knows all installed types of checks and forwarders. What it accepts may still be refused,
    because a schema knows no secrets and no rules between keys; what it refuses is mostly refused.
    """
    document = Config.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = document.setdefault("$defs", {})
    for kind in (CHECKS, FORWARD):
        described = document["properties"][kind.section].get("description", "")
        document["properties"][kind.section] = {
            "type": "object",
            "description": described,
            "additionalProperties": _entry(kind, definitions),
            "propertyNames": {"pattern": _NAME},
        }
    listener = {"$ref": "#/$defs/Listener"}
    document["properties"]["listen"]["items"] = {"anyOf": [{"type": "string"}, listener]}
    document["patternProperties"] = {"^x-": {}}
    document["$schema"] = _DIALECT
    document["type"] = ["object", "null"]  # a file with comments alone is the default
    tidy: dict[str, Any] = _tidy(document)
    return {"title": "vitald configuration", **tidy}


def options_schema(options: type[Section]) -> dict[str, Any]:
    """Return the schema of one model alone."""
    tidy: dict[str, Any] = _tidy(options.model_json_schema())
    return tidy


def _entry(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    variants = []
    for name in plugins.names(kind.group):
        label = f"{kind.section}.{name}"
        definitions[label] = _variant(kind, name, definitions)
        variants.append({"$ref": f"#/$defs/{label}"})
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": plugins.names(kind.group)}},
        "oneOf": variants,
        "discriminator": {"propertyName": "type"},
    }


def _variant(kind: Kind, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    const = {"const": name, "description": f"A {name} entry."}
    try:
        options = options_of(plugins.load(kind.group, name), kind)
        prefix = f"{kind.section}.{name}."
        variant = options.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    except Exception:
        # A broken plug-in takes the keys it would have with it, and nothing else.
        return {"type": "object", "properties": {"type": const}, "required": ["type"]}
    for label, definition in variant.pop("$defs", {}).items():
        definitions[f"{prefix}{label}"] = definition
    variant["properties"] = {"type": const, **variant.get("properties", {})}
    variant["required"] = ["type", *variant.get("required", [])]
    return variant


def _tidy(node: Any) -> Any:
    """Drop what only the model itself reads, and write defaults the way people do."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(value) for key, value in node.items() if key not in _NOTES}
    tidy.pop("title", None)  # the key once more
    if "x-type" in tidy:
        tidy["title"] = tidy.pop("x-type")
    default = tidy.get("default", ...)
    if default is None:
        del tidy["default"]
    # A key that may be left empty has its type one level down.
    kinds = {each.get("title") for each in (tidy, *tidy.get("anyOf", ())) if isinstance(each, dict)}
    write = next((_WRITERS[kind] for kind in kinds if kind in _WRITERS), None)
    if write is not None and isinstance(default, (int, float)):
        tidy["default"] = write(default)
    return tidy
