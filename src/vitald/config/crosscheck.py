"""Faults that no single key has: names that must exist, rings of dependencies, repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.config.faults import Fault
from vitald.config.suggest import suggestion
from vitald.config.units import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vitald.config.faults import Position
    from vitald.config.source import Item


def dependencies(root: Item) -> list[Fault]:
    """Judge every `depends_on` of the file, those of faulty checks included."""
    checks = root.value.get("checks")
    if checks is None or not isinstance(checks.value, dict):
        return []
    parents = {name: _parents(check) for name, check in checks.value.items()}
    faults: list[Fault] = []
    for name, items in parents.items():
        for number, (parent, at) in items.items():
            if parent in parents:
                continue
            others = [other for other in parents if other != name]
            message = f"there is no check {quoted(parent)}"
            message += suggestion(parent, others, "configured")
            faults.append(Fault(at, ("checks", name, "depends_on", number), message))
    edges = {
        name: [parent for parent, _ in items.values() if parent in parents]
        for name, items in parents.items()
    }
    for ring in rings(edges):
        words = " → ".join(f"{name} (line {checks.keys[name].line})" for name in ring)
        path = ("checks", ring[0], "depends_on")
        where = root.locate(path)[1]
        faults.append(Fault(where, path, f"goes round in a ring: {words} → {ring[0]}"))
    return faults


def repeated_listeners(root: Item, urls: list[str]) -> list[Fault]:
    """Judge addresses that are listed twice; `urls` has them in the order of the file."""
    first: dict[str, int] = {}
    faults = []
    for number, url in enumerate(urls):
        if url in first and not url.endswith(":0"):
            line = root.locate(("listen", first[url]))[1].line
            _, at = root.locate(("listen", number))
            message = f"{url} stands twice: first on line {line}"
            faults.append(Fault(at, ("listen", number), message))
        first.setdefault(url, number)
    return faults


def rings(edges: Mapping[str, list[str]]) -> list[list[str]]:
    """Return rings among names: one for every edge that leads back to where its path came from."""
    found: list[list[str]] = []
    done: set[str] = set()
    for start in edges:
        # An explicit stack: a chain of checks may be longer than Python's own stack.
        trail = {} if start in done else {start: iter(edges[start])}
        while trail:
            name = next(reversed(trail))
            parent = next(trail[name], None)
            if parent is None:
                done.add(name)
                del trail[name]
            elif parent in trail:
                names = list(trail)
                found.append(names[names.index(parent) :])
            elif parent not in done:
                trail[parent] = iter(edges[parent])
    return found


def _parents(check: Item) -> dict[int, tuple[str, Position]]:
    """Return the names that a check depends on, by their number in the list."""
    if not isinstance(check.value, dict) or "depends_on" not in check.value:
        return {}
    listed = check.value["depends_on"].value
    return {
        number: (str(item.value), item.at)
        for number, item in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(item.value, (str, int))
    }
