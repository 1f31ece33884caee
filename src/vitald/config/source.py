"""The file's text as values with positions: bytes in, a tree of items and all faults out.

Scalars are read as YAML 1.2 reads them, so that `off`, `no` and `22:30` are texts, and `0755` is
no octal number. A number keeps its spelling for the fields that want text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import yaml

from vitald.config.faults import Fault, Path, Position
from vitald.config.wording import syntax_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
# Counts what aliases repeat, too: nine levels of nine aliases are 400 million values.
MAX_ITEMS = 50_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_REAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML 1.1, 5.1
)
# Escapes in double quotes can spell them, but no path, socket or terminal takes them.
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Whole(int):
    """A whole number that remembers how it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


class Real(float):
    """A number that remembers how it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Item:
    """One value: a scalar, a list of items, or a section of items with the places of its keys."""

    at: Position
    value: Any
    keys: dict[str, Position] = field(default_factory=dict)

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def locate(self, path: Path) -> tuple[Path, Position]:
        """Return the part of `path` that the file has, and where it is.

        A scalar is where it stands, a section where its key stands. Parts that the file does not
        have (pydantic names the members of a union) are passed over.
        """
        item, at, found = self, self.at, []
        for part in path:
            value = item.value
            if isinstance(value, dict) and part in value:
                at, item = item.keys[str(part)], value[part]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                item = value[part]
                at = item.at
            else:
                continue
            found.append(part)
        return tuple(found), at if isinstance(item.value, (dict, list)) else item.at

    def key(self, path: Path) -> Position:
        """Return where the key at the end of `path` stands, or its value when it is in a list."""
        item = self
        for part in path[:-1]:
            item = item.value[part]
        last = path[-1]
        return item.value[last].at if isinstance(last, int) else item.keys[last]

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Position]]:
        """Yield every key with its position, sections before what is in them."""
        pairs: Any = ()
        if isinstance(self.value, dict):
            pairs = self.value.items()
        elif isinstance(self.value, list):
            pairs = enumerate(self.value)
        for part, item in pairs:
            yield (*path, part), self.keys.get(part, item.at)
            yield from item.walk((*path, part))


def parse(data: bytes) -> tuple[Item, list[Fault]]:
    """Return the file's values and what is wrong with its YAML.

    With faults the tree holds what could be read, so that the rest can be judged as well.
    """
    text, faults = _decode(data)
    if not faults:
        faults = _examine(text)
    if faults:
        return Item(Position(1, 1), {}), faults
    try:
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        return Item(Position(1, 1), {}), [syntax_fault(error, text)]
    if node is None:
        return Item(Position(1, 1), {}), []
    builder = _Builder()
    root = builder.build(node, ())
    if not isinstance(root.value, (dict, type(None))) and not builder.faults:
        builder.fault(node, (), "the file must be a section of keys, like interval: 10s")
    if not isinstance(root.value, dict):
        root = Item(Position(1, 1), {})
    return root, builder.faults


def _decode(data: bytes) -> tuple[str, list[Fault]]:
    if len(data) > MAX_BYTES:
        return "", [Fault(Position(1, 1), (), "the file is larger than 1 MiB")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
        byte = error.object[error.start]
        message = f"the file is not UTF-8: byte 0x{byte:02x}"
        return "", [Fault(_end_of(before), (), message)]
    return text, [
        Fault(
            _end_of(text[: match.start()]),
            (),
            f"the control character U+{ord(match[0]):04X} may not stand in the file",
        )
        for match in list(_FORBIDDEN.finditer(text))[:10]
    ]


def _end_of(text: str) -> Position:
    lines = _LINE_BREAK.split(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _examine(text: str) -> list[Fault]:
    """Find what must be known before a recursive reader may see the text."""
    faults: list[Fault] = []
    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "the file has a second document: only one is read"
                    return [*faults, Fault(_position(event), (), message)]
            tag = getattr(event, "tag", None)
            if tag is not None:
                short = str(tag).replace("tag:yaml.org,2002:", "!!")
                message = f"the tag {short[:40]} has no meaning here: write the value alone"
                faults.append(Fault(_position(event), (), message))
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    message = f"more than {MAX_DEPTH} sections and lists within each other"
                    return [*faults, Fault(_position(event), (), message)]
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        faults.append(syntax_fault(error, text))
    return faults


def _position(marked: Any) -> Position:
    return Position(marked.start_mark.line + 1, marked.start_mark.column + 1)


class _TooManyItemsError(Exception):
    pass


class _Builder:
    """Turns nodes into items and collects faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._items = 0

    def fault(self, node: yaml.Node, path: Path, message: str) -> None:
        self.faults.append(Fault(_position(node), path, message))

    def build(self, node: yaml.Node, path: Path) -> Item:
        try:
            return self._item(node, path)
        except _TooManyItemsError:
            message = f"more than {MAX_ITEMS} values, those repeated by aliases included"
            self.fault(node, (), message)
            return Item(_position(node), {})

    def _item(self, node: yaml.Node, path: Path) -> Item:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise _TooManyItemsError
        if isinstance(node, yaml.ScalarNode):
            return Item(_position(node), self._scalar(node, path))
        if len(path) > MAX_DEPTH:
            message = f"an alias makes more than {MAX_DEPTH} sections and lists within each other"
            self.fault(node, path[:1], message)
            # An alias to what it stands in would go on for ever, and be found at every turn.
            node.value = []
        if isinstance(node, yaml.SequenceNode):
            items = [self._item(child, (*path, at)) for at, child in enumerate(node.value)]
            return Item(_position(node), items)
        return self._section(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text: str = node.value
        bad = _UNUSABLE.search(text)
        if bad is not None:
            self.fault(node, path, f"the text may not contain U+{ord(bad[0]):04X}")
            return ""
        return text if node.style else resolve(text)

    def _section(self, node: yaml.Node, path: Path) -> Item:
        section = Item(_position(node), {})
        merges: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, path, "a key must be one word")
                continue
            key: str = key_node.value
            if key == "<<" and not key_node.style:
                merges.append(value_node)
            elif key in section.keys:
                first = section.keys[key]
                message = f"the key stands twice: first on line {first.line}"
                self.fault(key_node, (*path, key), message)
            else:
                section.keys[key] = _position(key_node)
                section.value[key] = self._item(value_node, (*path, key))
        for merged in merges:
            self._merge(merged, section, path)
        return section

    def _merge(self, node: yaml.Node, into: Item, path: Path) -> None:
        """Add the keys of `<<: *other` (or of a list of them) that the section does not have."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                self.fault(source, path, "<< can only repeat sections, like <<: *other")
                continue
            merged = self._item(source, (*path, "<<"))
            for key, item in merged.value.items():
                if key not in into.value:
                    into.value[key] = item
                    into.keys[key] = merged.keys[key]


def resolve(text: str) -> object:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2.

    Infinities and numbers of absurd length stay texts: no key takes them.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _WHOLE.fullmatch(text):
        return _spelt(Whole(text), text)
    if _BASED.fullmatch(text):
        return _spelt(Whole(text, 0), text)
    if len(text) <= 40 and _REAL.fullmatch(text) and isfinite(float(text)):
        return _spelt(Real(text), text)
    return text


def _spelt(number: Whole | Real, text: str) -> Whole | Real:
    number.text = text
    return number
