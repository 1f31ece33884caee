"""The parts of a line that is sent at once: names, values and tag fields as clean text.

Cleaning a name or a tag costs more than the rest of the line, so both are remembered by their
spelling. The two tables are shared by all clients, and each is emptied when it is full.
"""

from __future__ import annotations

from vitald.client.tags import canonical
from vitald.wire.encode import clean_member, clean_name, tag_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vitald.client.tags import TagsLike

# So many spellings are remembered, and only short ones: at most some 10 MB of texts.
_LIMIT = 10_000
_LONGEST = 512

# Types whose equal values have equal texts. Floats have not (-0.0), nor has a subclass of `str`,
# which may say anything about itself.
_PLAIN = frozenset({str, int, bool, type(None)})

_NUMBERS = frozenset({int, float})

names: dict[str, str] = {}
_fields: dict[tuple[Any, ...], str] = {}


def name_text(name: object) -> str:
    """Return the name as it goes into a line; look into `names` first for a `str`."""
    text = clean_name(name)
    if type(name) is str and len(name) <= _LONGEST:
        if len(names) >= _LIMIT:
            names.clear()
        names[name] = text
    return text


def value_text(value: object) -> str:
    """Return a number or a set's member as it goes into a line."""
    kind = type(value)
    if kind in _NUMBERS:
        return str(value)
    # Printable ASCII without a bar is clean already.
    if kind is str and value.isascii() and value.isprintable() and "|" not in value:  # type: ignore[attr-defined,operator]
        return value  # type: ignore[return-value]
    return clean_member(value)


def field_text(tags: TagsLike) -> str:
    """Return `|#key:value,bare` for a call's tags, sorted, or nothing when none is left."""
    if type(tags) is dict:
        parts: tuple[Any, ...] = (*tags, *tags.values())
        key = parts
    elif type(tags) is list or type(tags) is tuple:
        parts = tuple(tags)
        key = (list, *parts)
    else:
        return tag_field(canonical(tags))
    for part in parts:
        if type(part) is not str:
            # 1, 1.0 and True are equal, and are three tags; so are a text and an enum's member.
            key = (*key, *map(type, parts))
            break
    try:
        return _fields[key]
    except (KeyError, TypeError):  # TypeError: a value that cannot be hashed
        text = tag_field(canonical(tags))
    if len(text) <= _LONGEST and _PLAIN.issuperset(map(type, parts)):
        if len(_fields) >= _LIMIT:
            _fields.clear()
        _fields[key] = text
    return text
