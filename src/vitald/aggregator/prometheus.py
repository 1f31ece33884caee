"""The Prometheus text format 0.0.4: legal names, escaping, one line per sample. Pure.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text-based format). Data model
for names: metric `[a-zA-Z_:][a-zA-Z0-9_:]*`, label `[a-zA-Z_][a-zA-Z0-9_]*`. The colon is kept for
recording rules and `__` for Prometheus itself, so neither is produced from a sender's name.
"""

from __future__ import annotations

import re
from hashlib import sha256
from math import isnan
from typing import TYPE_CHECKING

from vitald.metric import SAMPLED_TYPES, MetricType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from vitald.metric import Tags

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")
# Labels that the format gives a meaning; a tag of that name is shown as `tag_<name>`.
_RESERVED_LABELS = frozenset({"quantile", "le"})


def metric_name(name: str) -> str:
    """Return the nearest legal metric name: every illegal character becomes `_`."""
    legal = _ILLEGAL.sub("_", name)
    return legal if legal and not legal[0].isdigit() else f"_{legal}"


def label_name(key: str) -> str:
    """Return the nearest legal label name that is nobody else's."""
    legal = metric_name(key)
    if legal.startswith("__"):
        legal = "_" + legal.lstrip("_")
    return f"tag_{legal}" if legal in _RESERVED_LABELS or legal == "_" else legal


def label_pairs(tags: Iterable[tuple[str, str]]) -> str:
    """Return `a="1",b="2"` for tags; a bare tag is `true`, as an empty label would be no label.

    When two keys become the same label, the later gets a number: `a_b`, `a_b_2`.
    """
    pairs: dict[str, str] = {}
    for key, value in tags:
        base = label = label_name(key)
        number = 2
        while label in pairs:
            label = f"{base}_{number}"
            number += 1
        pairs[label] = escape_label(value or "true")
    return ",".join([f'{label}="{value}"' for label, value in pairs.items()])


def escape_label(value: str) -> str:
    """Escape a label's value: backslash, double quote and line feed."""
    if "\\" in value or '"' in value or "\n" in value:
        value = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def escape_help(text: str) -> str:
    """Escape a HELP text: backslash and line feed."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def header(name: str, kind: str, text: str) -> str:
    """Return the HELP and TYPE lines of a family."""
    return f"# HELP {name} {escape_help(text)}\n# TYPE {name} {kind}\n"


def sample(name: str, labels: str, value: float) -> str:
    """Return one sample; `labels` is what `label_pairs` returns."""
    where = f"{{{labels}}}" if labels else ""
    return f"{name}{where} {number(value)}\n"


def number(value: float) -> str:
    """Return a value as the format spells it (`NaN`, `+Inf`, `-Inf`)."""
    if value == value // 1 and -(2.0**53) <= value <= 2.0**53:
        return f"{int(value)}"
    text = repr(value)
    if text.endswith("inf"):
        return "-Inf" if value < 0 else "+Inf"
    return "NaN" if isnan(value) else text


def sample_names(kind: MetricType, base: str) -> tuple[str, ...]:
    """Return the names of all samples of a family; the first is the family's own name."""
    if kind is MetricType.COUNTER:
        return (base if base.endswith("_total") else f"{base}_total",)
    if kind in SAMPLED_TYPES:
        return (base, f"{base}_sum", f"{base}_count")
    return (base,)


class Names:
    """Gives every (type, original name) a family name that no other family uses.

    Two originals can become the same legal name (`a.b` and `a-b`), or one family's `x_count` can be
    another's name. The first comer has it, and keeps it as long as it lives; the later one gets
    its type appended and, if that is taken too, a hash of its original name.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)

    def take(self, kind: MetricType, original: str) -> str:
        """Return a free base name for the family and occupy its sample names."""
        for base in _candidates(kind, original):
            wanted = sample_names(kind, base)
            if self._taken.isdisjoint(wanted):
                self._taken.update(wanted)
                return base
        raise AssertionError("a SHA-256 collision")  # pragma: no cover

    def release(self, kind: MetricType, base: str) -> None:
        """Free what `take` occupied."""
        self._taken.difference_update(sample_names(kind, base))


def distinct_labels(tags: Tags, taken: Collection[str]) -> str:
    """Return the labels of a series; `taken` has those of the other series of its family.

    Tags that differ can become equal labels (keys `a.b` and `a-b`, a bare tag and `true`); the
    later series is told apart by the label `vitald_series`.
    """
    labels = label_pairs(tags)
    if labels not in taken:
        return labels
    digest = sha256(repr(tags).encode()).hexdigest()[:12]
    mark = f'vitald_series="{digest}"'
    return f"{labels},{mark}" if labels else mark


def _candidates(kind: MetricType, original: str) -> Iterator[str]:
    base = metric_name(original)
    yield base
    yield f"{base}_{kind.value}"
    digest = sha256(f"{kind.value}:{original}".encode()).hexdigest()
    for length in (6, 12, 64):
        yield f"{base}_{digest[:length]}"
