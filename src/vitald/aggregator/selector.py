"""Which series a question is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vitald.metric import MetricType, SeriesKey

_GLOB = re.compile(r"[*?[]").search


@dataclass(frozen=True, slots=True)
class Selector:
    """Names by shell glob (any of them), tags by exact value (all of them), types (any of them).

    Empty means no restriction. A tag value may be a glob as well.
    """

    names: Sequence[str] = ()
    tags: Sequence[tuple[str, str]] = ()
    types: Sequence[MetricType] = ()

    def matcher(self) -> Callable[[SeriesKey], bool]:
        """Compile to a predicate over series keys."""
        name = _any_of(self.names)
        wanted = [(key, re.compile(translate(value)).match) for key, value in self.tags]
        types = frozenset(self.types)
        if name is not None and not wanted and not types:
            return lambda series: bool(name(series.name))

        def match(series: SeriesKey) -> bool:
            if types and series.type not in types:
                return False
            if name is not None and not name(series.name):
                return False
            if not wanted:
                return True
            tags = dict(series.tags)
            return all(key in tags and value(tags[key]) for key, value in wanted)

        return match


def _any_of(globs: Sequence[str]) -> Callable[[str], object] | None:
    if not globs:
        return None
    if not any(_GLOB(glob) for glob in globs):
        return frozenset(globs).__contains__  # many times cheaper, over many series
    return re.compile("|".join(translate(glob) for glob in globs)).match
