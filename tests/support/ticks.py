"""A span whose time a test can count."""

from __future__ import annotations

from vitald.client.timing import Span


class Ticks(Span):
    """A span whose clock moves by one at every look."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.ended = []

    def begin(self):
        self.now += 1
        return self.now

    def end(self, start, error):
        self.now += 1
        self.ended.append((start, self.now, type(error).__name__ if error else None))
