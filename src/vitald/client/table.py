"""The series of one client: who is there, who stands for the rest, and who is forgotten."""

from __future__ import annotations

from sys import getrefcount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vitald.client.series import Series

# A series that is only known by its name is forgotten after this many flushes without a value,
# after two when there are many.
IDLE_FLUSHES = 120
_MANY_SERIES = 5_000

_OFFENDERS = 10


class SeriesTable:
    """Series by what they are on the wire.

    `known` has them by their key, and `overflow` those that stand for series beyond the limit.
    `series` lists all of them: callers only append to it, and the flusher alone removes.
    `on_forget` is called before idle series are forgotten: whoever caches series must let go of
    them, and call its argument now and then.
    """

    def __init__(self, lines: Series) -> None:
        self.known: dict[object, Series] = {}
        self.overflow: dict[object, Series] = {}
        self.series: list[Series] = [lines]
        self.on_forget: Callable[[Callable[[], None]], None] = lambda _: None
        self._lines = lines

    def add(self, series: Series) -> Series:
        """Register a series; return the one that stands for its key."""
        winner = self._home(series).setdefault(series.key, series)
        if winner is series:
            self.series.append(series)
        return winner

    def offenders(self) -> dict[str, int]:
        """Return the names that have the most series, with their number."""
        found: dict[str, int] = {}
        for one in list(self.known.values()):
            name = one.before[:-1].decode()
            found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items(), key=lambda item: -item[1])[:_OFFENDERS])

    def forget(self, most_idle: int, breathe: Callable[[], None]) -> None:
        """Forget idle series that nobody holds; `most_idle` is how long the idlest has been.

        A caller between looking a series up and recording into it holds a reference, and so does
        a handle: they keep it. Caches go first, the table next, so that no new reference comes up.
        """
        patience = 2 if len(self.known) > _MANY_SERIES else IDLE_FLUSHES
        if most_idle < patience:
            return
        self.on_forget(breathe)
        alone = _references_of_a_listed_local()
        index, count = 0, len(self.series)
        while index < count:
            series = self.series[index]
            if series.idle >= patience and series is not self._lines:
                series.idle = 0
                home = self._home(series)
                home.pop(series.key, None)
                # In this order: when nobody holds it, nobody can fill it any more.
                if getrefcount(series) <= alone and not series.waiting():
                    del self.series[index]
                    count -= 1
                    continue
                home.setdefault(series.key, series)
            index += 1
            breathe()

    def _home(self, series: Series) -> dict[object, Series]:
        return self.overflow if series.is_overflow else self.known


def _references_of_a_listed_local() -> int:
    """Return what `getrefcount` says of an object that one list and one local name refer to."""
    listed = [object()]
    local = listed[0]
    return getrefcount(local)
