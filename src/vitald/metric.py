"""The vocabulary: what a metric, an event and a service check are."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

# Sorted by key, each key once; a bare tag has the value "".
Tags = tuple[tuple[str, str], ...]


class MetricType(str, Enum):
    """The six types; the value is the word that users see."""

    COUNTER = "counter"
    GAUGE = "gauge"
    TIMER = "timer"
    HISTOGRAM = "histogram"
    DISTRIBUTION = "distribution"
    SET = "set"

    # Enum's own hash is a Python function, and series keys are hashed for every new spelling.
    __hash__ = str.__hash__


# Types whose samples go into an exponential histogram.
SAMPLED_TYPES = frozenset({MetricType.TIMER, MetricType.HISTOGRAM, MetricType.DISTRIBUTION})


class SeriesKey(NamedTuple):
    """Identity of a series: the same name with another type or other tags is another series."""

    type: MetricType
    name: str
    tags: Tags


class Event(NamedTuple):
    """A DogStatsD event. `timestamp` is in Unix seconds, None when the sender gave none."""

    title: str
    text: str
    timestamp: int | None = None
    host: str = ""
    aggregation_key: str = ""
    priority: str = "normal"
    source_type: str = ""
    alert_type: str = "info"
    tags: Tags = ()


class ServiceCheck(NamedTuple):
    """A DogStatsD service check. `status` is 0 to 3 (see `vitald.status.Status`)."""

    name: str
    status: int
    timestamp: int | None = None
    host: str = ""
    message: str = ""
    tags: Tags = ()
