"""The effective configuration as YAML: what was left out is filled in, secrets are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from vitald.config import paths
from vitald.config.model import Config
from vitald.config.units import printable

if TYPE_CHECKING:
    from vitald.config.load import Loaded
    from vitald.config.model import Entry


class _Dumper(yaml.SafeDumper):
    """Lists of scalars on one line, everything else one key a line; never an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the signature is PyYAML's
        return True

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style=flow_style)
        node.flow_style = all(isinstance(item, yaml.ScalarNode) for item in node.value)
        return node


def show(loaded: Loaded) -> str:
    """Return the configuration in force as a YAML text that can be loaded again.

    Every key has its effective value; `# default` marks what the file does not say. A secret is
    shown as the reference that the file has, a literal one as `***`.
    """
    lines = [f"# {printable(str(loaded.path)) if loaded.path else 'built-in default'}"]
    for name, value in effective(loaded.config).items():
        text = _dump({name: value})
        if name not in loaded.origins:
            first, _, rest = text.partition("\n")
            text = f"{first}  # default\n{rest}"
        lines.append(text.rstrip("\n"))
    return "\n".join(lines) + "\n"


def effective(config: Config) -> dict[str, Any]:
    """Return the configuration as plain values, written the way the file writes them."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude={"checks", "forward"})
    values["control_socket"] = str(paths.control_socket(None, config.control_socket))
    for section in ("checks", "forward"):
        values[section] = {entry.name: _entry(entry) for entry in getattr(config, section)}
    return {name: values[name] for name in Config.model_fields}


def _entry(entry: Entry) -> dict[str, Any]:
    options = entry.options.model_dump(mode="json", fallback=str)
    for name, info in type(entry.options).model_fields.items():
        if options.get(name) is None and info.default is None:
            options.pop(name, None)
    return {"type": entry.type, **options}


def _dump(value: Any) -> str:
    # Dumped for a terminal: what it would act on is written as escapes, which YAML reads back.
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    if text.replace("\n", "").isprintable():
        return text
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100))
