"""How long to measure: in full, or just long enough to see that a benchmark works."""

from __future__ import annotations

from typing import NamedTuple


class Effort(NamedTuple):
    """`runs` of each receiver, of `load` seconds each; the other topics take a `share` of theirs.

    An interval of the sidecar is longer than a run: not every run has a seal in it, which takes the
    native engine less than a hundredth of an interval with the most series that are sent.
    """

    runs: int = 3
    warm: float = 0.8
    load: float = 4.0
    baseline: float = 1.5
    share: float = 1.0

    def of(self, number: int) -> int:
        """Return what a size or a number of repetitions comes to."""
        return max(1, int(number * self.share))


FULL = Effort()
QUICK = Effort(runs=1, warm=0.3, load=0.7, baseline=0.4, share=0.05)
