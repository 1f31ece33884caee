"""A client that refuses what is not declared: for tests, where a wrong name should be an error."""

from __future__ import annotations

from vitald.client.declarations import UndeclaredMetric
from vitald.client.registry import settled
from vitald.client.tags import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vitald.client.client import Client
    from vitald.client.declarations import Metric

# What a verb records, where it is not called like it.
_TYPES = {"incr": "counter", "decr": "counter", "timing": "timer"}
_VERBS = frozenset({*_TYPES, "counter", "gauge", "timer", "histogram", "distribution", "set"})
_OPTIONS = frozenset({"tags", "rate", "delta", "value", "count", "timestamp"})


class StrictClient:
    """Passes calls on to a client, those that record a metric only if it is declared so."""

    def __init__(
        self,
        client: Client,
        declared: Mapping[str, Metric[Any]],
        refuse: Callable[[ValueError], None],
    ) -> None:
        self._client, self._declared, self._refuse = client, declared, refuse

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._client, name)
        if name not in _VERBS:
            return verb

        def checked(*arguments: Any, **options: Any) -> Any:
            if options.get("tags") is not None:
                # Once: a generator has them once.
                options["tags"] = settled(options["tags"], None)
            if arguments:
                self._check(_TYPES.get(name, name), arguments[0], options)
            elif "name" in options:
                others = {key: one for key, one in options.items() if key != "name"}
                self._check(_TYPES.get(name, name), options["name"], others)
            return verb(*arguments, **options)

        return checked

    def __enter__(self) -> StrictClient:  # noqa: PYI034  as the client's own
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __repr__(self) -> str:
        return f"StrictClient({self._client!r})"

    def _check(self, kind: str, name: str, options: Mapping[str, Any]) -> None:
        metric = self._declared.get(name)
        if metric is None:
            self._refuse(UndeclaredMetric(f"cannot record {name}: it is not declared"))
        elif metric.kind != kind:
            cause = f"it is declared as a {metric.kind}"
            self._refuse(UndeclaredMetric(f"cannot record {name} as a {kind}: {cause}"))
        else:
            keys = {key for key, _ in canonical(options.get("tags"))}
            error = metric.check(frozenset({*keys, *(options.keys() - _OPTIONS)}))
            if error is not None:
                self._refuse(error)
