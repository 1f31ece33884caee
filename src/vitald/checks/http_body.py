"""What the body of an answer must hold."""

from __future__ import annotations

import sys

from vitald.checks import child
from vitald.checks.wording import cause, one_line

# A pattern and a hostile body can keep `re` busy for years, with the GIL held. So the search runs
# in a process of its own, which ends with the check.
_SEARCH = (
    "import re, sys\n"
    "text = sys.stdin.buffer.read().decode()\n"
    "sys.exit(0 if re.search(sys.argv[1], text) else 9)\n"
)
_NO_MATCH = 9


class Expectation:
    """A text and a pattern that a body must contain; either may be None."""

    def __init__(self, contains: str | None, matches: str | None) -> None:
        self._contains = contains
        self._matches = matches

    def __bool__(self) -> bool:
        """Tell whether the body matters at all."""
        return self._contains is not None or self._matches is not None

    async def fault(self, text: str, seconds: float) -> str:
        """Return what is wrong with `text`, "" when nothing is; the search has `seconds`."""
        if self._contains is not None and self._contains not in text:
            return f"the body does not contain {one_line(self._contains, 100)!r}"
        if self._matches is None:
            return ""
        try:
            search = await child.run(
                [sys.executable, "-I", "-S", "-c", _SEARCH, self._matches],
                timeout=seconds,
                environment={},
                limit=1024,
                stdin=text.encode("utf-8", "replace"),
            )
        except OSError as error:
            return f"cannot search the body: {cause(error)}"
        return self._verdict(search.exit_code)

    def _verdict(self, exit_code: int | None) -> str:
        pattern = repr(one_line(self._matches or "", 100))
        if exit_code == 0:
            return ""
        if exit_code == _NO_MATCH:
            return f"the body does not match {pattern}"
        if exit_code is None:
            return f"searching the body for {pattern} took too long"
        return f"cannot search the body for {pattern}: exit code {exit_code}"
