"""What a listener accepts where StatsD's dialects disagree."""

from __future__ import annotations

from typing import Literal, NamedTuple

GaugeSign = Literal["delta", "absolute"]
TagFormat = Literal["graphite", "influx", "librato", "signalfx"]


class Dialect(NamedTuple):
    """The choices of one listener.

    `gauge_sign`: what `+5|g` and `-5|g` mean; StatsD says a delta, DogStatsD an absolute value.
    `tag_formats`: which spellings of tags inside the name are understood; DogStatsD's `|#` always
    is. `name_length` bounds the name and every tag, in bytes; `tags` bounds their number.
    """

    gauge_sign: GaugeSign = "delta"
    tag_formats: frozenset[TagFormat] = frozenset({"graphite"})
    name_length: int = 255
    tags: int = 32


DEFAULT_DIALECT = Dialect()
