"""Which check waits for which: faults in `depends_on`, found before anything is scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vitald.checks.spec import CheckSpec


def dependency_faults(specs: Sequence[CheckSpec]) -> list[str]:
    """Return one line per repeated name, unknown parent and cycle; empty when all is well."""
    names = [spec.name for spec in specs]
    faults = [
        f"cannot schedule check {name}: the name is taken"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    parents = {spec.name: spec.depends_on for spec in specs}
    for spec in specs:
        faults += [
            f"cannot schedule check {spec.name}: it depends on {parent}, which is not configured"
            for parent in spec.depends_on
            if parent not in parents
        ]
    cycle = find_cycle(parents)
    if cycle:
        path = " -> ".join(cycle)
        faults.append(f"cannot schedule checks: they depend on each other in a circle: {path}")
    return faults


def find_cycle(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one cycle as a path that ends where it starts, or an empty list.

    Iterative, so that a long chain in a hostile file cannot exhaust the stack.
    """
    finished: set[str] = set()
    for start in parents:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, left = stack.pop()
            if left:
                finished.add(path.pop())
                continue
            if name in path:
                return [*path[path.index(name) :], name]
            if name in finished or name not in parents:
                continue
            path.append(name)
            stack.append((name, True))
            stack += [(parent, False) for parent in parents[name]]
    return []
