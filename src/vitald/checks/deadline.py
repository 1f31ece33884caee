"""How much of a check's timeout its own work may take."""

from __future__ import annotations


def working_time(timeout: float) -> float:
    """Return the seconds after which a check gives up by itself.

    The scheduler ends a run at `timeout`, but then only knows that it took too long. A check
    stops a little earlier, says what it was waiting for, and keeps its worker alive.
    """
    return timeout - min(timeout * 0.2, 0.5)
