"""Graphite's names: profiles, tags, and what carbon can store.

A row becomes points: `prefix.namespace.name.suffix`, with `;key=value` for every tag behind it.
Carbon's rules, from its `TaggedSeries.validateTagAndValue` and its storage: a tag's key is not
empty and has none of `;!^=`, its value is not empty, has no `;` and does not start with `~`; a
tag called `name` is the metric's own; blanks separate fields; a component of a name is a
directory or, with `.wsp` behind it, a file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2s
from typing import TYPE_CHECKING, Literal, NamedTuple

from vitald.aggregator.forwarders.summary import datadog_values, native_values, statsd_values
from vitald.metric import MetricType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.aggregator.interval import Row
    from vitald.metric import Tags

Profile = Literal["statsd", "statsd_legacy", "datadog", "native"]

# What each profile shows of a sampled series when the configuration names no percentiles.
PERCENTILES: dict[Profile, tuple[float, ...]] = {
    "statsd": (90.0,),
    "statsd_legacy": (90.0,),
    "datadog": (95.0,),
    "native": (50.0, 90.0, 95.0, 99.0),
}
# The profiles of a server that sends idle counters as 0 and repeats gauges.
REPEATING: frozenset[Profile] = frozenset({"statsd", "statsd_legacy"})

# NAME_MAX less ".wsp".
_LONGEST_COMPONENT = 251
_HASH_DIGITS = 8

# The reference server's rule for names, widened from ASCII letters to letters of any script.
_BLANKS = re.compile(r"\s+")
_NOT_IN_NAME = re.compile(r"[^\w.\-]")
_DOTS = re.compile(r"\.{2,}")
_NOT_IN_KEY = re.compile(r"[\s;!^=\"{}\x00-\x1f\x7f-\x9f]")
# A value that ends in `"}` would make carbon read the whole path as OpenMetrics text.
_NOT_IN_VALUE = re.compile(r"[\s;\"{}\x00-\x1f\x7f-\x9f]")


class Naming(NamedTuple):
    """How rows are named. `prefix` is clean and without a trailing dot, "" for none."""

    profile: Profile
    prefix: str
    tagged: bool
    percentiles: Sequence[float]
    common_tags: Tags = ()

    def points(self, name: str, row: Row, seconds: float) -> list[tuple[str, float]]:
        """Return (path, value) for one row, under its clean name."""
        tags = row.tags
        if self.common_tags:
            tags = tuple(sorted({**dict(self.common_tags), **dict(row.tags)}.items()))
        if tags and not self.tagged:
            name = f"{name}.{folded_tags(tags)}"
        ending = tags_suffix(tags) if tags and self.tagged else ""
        return [
            (bounded(".".join(filter(None, (space, name, suffix)))) + ending, value)
            for space, suffix, value in self._values(row, seconds)
        ]

    def _values(self, row: Row, seconds: float) -> list[tuple[str, str, float]]:
        if self.profile == "native":
            named = native_values(row, seconds, self.percentiles)
        elif self.profile == "datadog":
            named = _datadog(row, self.percentiles)
        else:
            return self._statsd(row, seconds)
        return [(self.prefix, suffix, value) for suffix, value in named]

    def _statsd(self, row: Row, seconds: float) -> list[tuple[str, str, float]]:
        space = f"{self.prefix}." if self.prefix else ""
        if row.type is MetricType.COUNTER:
            rate = row.sum / seconds
            if self.profile == "statsd_legacy":
                return [(self.prefix, "", rate), ("stats_counts", "", row.sum)]
            return [(f"{space}counters", "rate", rate), (f"{space}counters", "count", row.sum)]
        if row.type is MetricType.GAUGE:
            return [(f"{space}gauges", "", row.last)] if row.last is not None else []
        if row.histogram is not None:
            values = statsd_values(row.histogram, seconds, self.percentiles)
            return [(f"{space}timers", suffix, value) for suffix, value in values]
        return [(f"{space}sets", "count", float(row.unique or 0))]


def _datadog(row: Row, percentiles: Sequence[float]) -> list[tuple[str, float]]:
    if row.histogram is not None:
        return datadog_values(row.histogram, percentiles)
    value = {MetricType.COUNTER: row.sum, MetricType.GAUGE: row.last}.get(row.type, row.unique)
    return [] if value is None else [("", value)]


def prefix_of(text: str, host: str) -> str:
    """Return a configured prefix, clean; `{host}` in it is the host as one component."""
    return clean_name(text.replace("{host}", host.replace(".", "_")))


@lru_cache(maxsize=100_000)
def clean_name(name: str) -> str:
    """Return a metric's name as carbon can store it, "" when nothing is left of it."""
    name = _NOT_IN_NAME.sub("", _BLANKS.sub("_", name).replace("/", "-"))
    return _DOTS.sub(".", name).strip(".")


def tags_suffix(tags: Tags) -> str:
    """Return `;key=value` for each tag; a bare tag has the value `true`."""
    return "".join(
        f";{tag_key(key)}={tag_value(value)}" for key, value in tags if not key.isspace()
    )


def tag_key(key: str) -> str:
    clean = _NOT_IN_KEY.sub("_", key)
    return "name_" if clean == "name" else clean


def tag_value(value: str) -> str:
    clean = _NOT_IN_VALUE.sub("_", value)
    if clean.startswith("~"):
        clean = f"_{clean[1:]}"
    return clean or "true"


def folded_tags(tags: Tags) -> str:
    """Return tags as components of a name, `key.value` each, for a carbon without tags."""
    return ".".join(
        f"{clean_name(key).replace('.', '_') or '_'}"
        f".{clean_name(value or 'true').replace('.', '_') or '_'}"
        for key, value in tags
    )


def bounded(path: str) -> str:
    """Return a path in which every component fits a file's name; a cut one ends in its hash."""
    if len(path) * 4 <= _LONGEST_COMPONENT:
        return path
    return ".".join(map(_bounded_component, path.split(".")))


def _bounded_component(component: str) -> str:
    data = component.encode("utf-8", "replace")
    if len(data) <= _LONGEST_COMPONENT:
        return component
    digest = blake2s(data).hexdigest()[:_HASH_DIGITS]
    kept = data[: _LONGEST_COMPONENT - _HASH_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}-{digest}"
