"""The nearest right spelling."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST_LISTED = 30


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that `word` was probably meant to be."""
    by_folded = {name.lower().replace("-", "_"): name for name in known}
    # Long words cost quadratic time, and are no typing mistakes.
    folded = word[:60].lower().replace("-", "_")
    if folded in by_folded:
        return by_folded[folded]
    close = get_close_matches(folded, list(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def suggestion(word: str, known: Collection[str], adjective: str = "known") -> str:
    """Return the end of a message about an unknown word: what was meant, else what there is."""
    meant = nearest(word, known)
    if meant is not None:
        return f'; did you mean "{meant}"?'
    if not known:
        return f"; none is {adjective}"
    listed = ", ".join(sorted(known)[:_MOST_LISTED])
    return f"; {adjective}: {listed}{', …' if len(known) > _MOST_LISTED else ''}"
