"""The reference page, made from the model: it cannot say anything else than the code does."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from vitald.config import plugins
from vitald.config.entries import CHECKS, FORWARD, options_of
from vitald.config.init import init
from vitald.config.listen import Listener
from vitald.config.model import Config, Limits
from vitald.config.schema import options_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from vitald.config.entries import Kind
    from vitald.config.options import Section

_HEAD = """\
# Configuration

<!-- Made by scripts/generate-docs from the model in src/vitald/config. Do not edit. -->

The sidecar reads one YAML file, the first of these that is named or exists:

1. `vitald run -c FILE`
2. `$VITALD_CONFIG`
3. `./vitald.yaml`
4. `$XDG_CONFIG_HOME/vitald/config.yaml` (`~/.config` when that is not set)
5. `/etc/vitald/config.yaml`
6. the built-in default: UDP on 127.0.0.1:8125, and checks of this machine's disk, memory, CPU and
   disk I/O

`vitald config init` prints a file to start from, `vitald config check` says what is wrong with
one, `vitald config show` prints what is in force with every default filled in, and `vitald config
schema` prints a JSON schema for editors.

A key that is left out has its default. A section that is left out has its default as a whole:
without `checks` this machine is checked, `checks: {}` means no checks. A wrong file is refused as a
whole, with every fault in it:

    vitald.yaml:9:34: checks.root.warning: "80x" is no percentage: write it like 80%
    vitald.yaml:11:5: checks.api.ulr: unknown key; did you mean "url"?

SIGHUP (or `vitald reload`) reads the file again. A wrong file changes nothing. Keys marked *reload*
are applied at once; the others need a restart, and the reload says so.

## How values are written

| Type | Written like |
|---|---|
| duration | `10s`, `200ms`, `5m`, `1h30m`, `2d`; a number is in seconds |
| size | `64KiB` (1024), `10MB` (1000); a number is in bytes |
| percentage | `80%` or `80` |
| secret | `{env: NAME}`, `{file: PATH}`, or the text itself |
| secret URL | like a secret; `config show` masks its password and the values of its query |
| mode | `0660`, as chmod has it |

A secret is read when the file is, and never shown again; a variable that is not set or a file that
cannot be read is a fault. A relative path of a secret's file, of `state_dir` or of `control_socket`
is relative to the directory of the configuration file.

The file is read as YAML 1.2: `on`, `off`, `yes` and `no` are texts (a key that is true or false
takes them), `22:30` is no number, and `0755` is octal only for a mode. A key that stands twice is a
fault. Anchors, aliases and `<<` work; keys that begin with `x-` are ignored, so that they can hold
what is repeated. Tags (`!!str`) are refused, as are files beyond 1 MiB.
"""

_PLAIN_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "array": "list",
    "object": "section",
}


def reference() -> str:
    """Return `docs/configuration.md`; imports every built-in check and forwarder."""
    parts = [
        _HEAD,
        "## Keys\n",
        _table(Config),
        "## `listen`\n",
        f"{_sentence(Listener)}\n",
        _table(Listener),
        "## `limits`\n",
        _table(Limits),
        "## `checks`\n",
        "Every entry has a name of its own choice, a `type`, and keys. These are common to all:\n",
        _table(CHECKS.base),
        *_types(CHECKS),
        "## `forward`\n",
        "Every entry has a name of its own choice, a `type`, and keys. These are common to all:\n",
        _table(FORWARD.base),
        *_types(FORWARD),
        "## Example\n",
        f"What `vitald config init` prints:\n\n```yaml\n{init()}```\n",
    ]
    return "\n".join(parts)


def _types(kind: Kind) -> Iterator[str]:
    for name in plugins.built_in(kind.group):
        plugin = plugins.load(kind.group, name)
        yield f"### `type: {name}`\n"
        text = inspect.cleandoc(plugin.__doc__ or "")
        yield f"{text}\n"
        yield _table(options_of(plugin, kind), _inherited(options_of(plugin, kind), kind.base))


def _inherited(options: type[Section], base: type[Section]) -> set[str]:
    """Return the common keys that a type takes over as they are."""
    mine, theirs = options_schema(options)["properties"], options_schema(base)["properties"]
    return {name for name in theirs if mine.get(name) == theirs[name]}


def _table(model: type[Section], left_out: Collection[str] = ()) -> str:
    schema = options_schema(model)
    required = schema.get("required", [])
    rows = []
    for name, info in model.model_fields.items():
        if name in left_out:
            continue
        described = schema["properties"][info.alias or name]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = "required" if name in required else _default(described, extra)
        cells = [f"`{info.alias or name}`", str(extra.get("takes") or _words(described, schema))]
        cells += [default, (info.description or "").strip()]
        if model is Config:
            cells.append("reload" if extra.get("reload") else "restart")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if not rows:
        return "No further keys.\n"
    titles = ["Key", "Type", "Default", "Meaning", *(["Applied by"] if model is Config else [])]
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *rows, ""])


def _default(described: dict[str, Any], extra: dict[str, Any]) -> str:
    if "shown" in extra:
        shown = str(extra["shown"])
        return f"`{shown}`" if shown.startswith(("[", "{")) or " " not in shown else shown
    default = described.get("default")
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(_plain, default))}]`"
    if isinstance(default, dict):
        return "see below" if not default else f"`{default}`"
    return f"`{_plain(default)}`"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(described: dict[str, Any], schema: dict[str, Any]) -> str:
    """Say in words what a key takes, from its JSON schema."""
    if "title" in described:
        return str(described["title"])
    if "$ref" in described:
        name = described["$ref"].rpartition("/")[2]
        definition = schema.get("$defs", {}).get(name, {})
        return "section" if "properties" in definition else _words(definition, schema)
    if "enum" in described or "const" in described:
        return ", ".join(f"`{word}`" for word in described.get("enum", [described.get("const")]))
    if "anyOf" in described:
        kinds = [_words(each, schema) for each in described["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    return _words_for_type(described, schema)


def _words_for_type(described: dict[str, Any], schema: dict[str, Any]) -> str:
    kind = str(described.get("type"))
    inner = described.get({"array": "items", "object": "additionalProperties"}.get(kind, ""))
    if isinstance(inner, dict) and inner:
        return f"{'list' if kind == 'array' else 'section'} of {_words(inner, schema)}"
    if described.get("format") == "path":
        return "path"
    return _PLAIN_TYPES.get(kind, "section of entries")


def _sentence(model: type[Section]) -> str:
    return inspect.cleandoc(model.__doc__ or "")
