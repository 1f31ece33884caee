"""A test kit for services that use vitald.

    RecordingClient     a `vitald.Client` that sends nothing and asserts what it would have sent
    NullClient          a `vitald.Client` that takes everything and keeps nothing
    Sidecar             the real aggregator in this process, with a clock that the test moves

`ANY`, `approx` and `only` stand in for values and tags in what is expected. With pytest there are
the fixtures `vitald_recorder` and `vitald_sidecar`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitald.testing.matchers import ANY, approx, only
    from vitald.testing.metrics import Metric
    from vitald.testing.null import NullClient
    from vitald.testing.recorder import RecordingClient
    from vitald.testing.records import Record
    from vitald.testing.sidecar import ManualClock, Sidecar

__all__ = [
    "ANY",
    "ManualClock",
    "Metric",
    "NullClient",
    "Record",
    "RecordingClient",
    "Sidecar",
    "approx",
    "only",
]

_HOMES = {
    "ANY": "matchers",
    "ManualClock": "sidecar",
    "Metric": "metrics",
    "NullClient": "null",
    "Record": "records",
    "RecordingClient": "recorder",
    "Sidecar": "sidecar",
    "approx": "matchers",
    "only": "matchers",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"vitald.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
