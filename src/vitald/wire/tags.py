"""Tags: DogStatsD's field and the four spellings inside a name.

    field     = "#" tag *( "," tag )             tag = key [ ":" value ]
    graphite  = name *( ";" key "=" value )
    influx    = name *( "," key "=" value )
    librato   = name "#" key "=" value *( "," key "=" value )
    signalfx  = head "[" key "=" value *( "," key "=" value ) "]" tail

Order never matters, a repeated key keeps its last value, and a tag without a key is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitald.metric import Tags
    from vitald.wire.dialect import TagFormat

# C0, DEL and C1: what a terminal might obey.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def split_tags(text: str, separator: str = ":") -> tuple[dict[str, str], int]:
    """Return the tags of a comma-separated list and how many of its items were dropped."""
    return collect(text.split(","), separator)


def collect(items: Iterable[str], separator: str) -> tuple[dict[str, str], int]:
    """Return the tags of `items` and how many had no key."""
    tags: dict[str, str] = {}
    dropped = 0
    for item in items:
        key, _, value = item.partition(separator)
        if key:
            tags[key] = value
        else:
            dropped += 1
    return tags, dropped


def split_name(name: str, formats: frozenset[TagFormat]) -> tuple[str, dict[str, str], int]:
    """Return the bare name, the tags spelled inside it, and how many of those were dropped."""
    if "signalfx" in formats and "[" in name:
        head, _, rest = name.partition("[")
        inside, closed, tail = rest.partition("]")
        if closed:
            return (head + tail, *split_tags(inside, "="))
    if "graphite" in formats and ";" in name:
        bare, *items = name.split(";")
        return (bare, *collect(items, "="))
    if "librato" in formats and "#" in name:
        bare, _, rest = name.partition("#")
        return (bare, *split_tags(rest, "="))
    if "influx" in formats and "," in name:
        bare, *items = name.split(",")
        return (bare, *collect(items, "="))
    return name, {}, 0


def canonical(tags: dict[str, str]) -> Tags:
    """Return the one form in which equal tags are equal."""
    return tuple(sorted(tags.items()))
