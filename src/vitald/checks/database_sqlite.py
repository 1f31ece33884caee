"""SQLite, by the standard library."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vitald.checks.database_backend import Deadline, Reading, UnhealthyError
from vitald.checks.open_handles import count_open_handles

if TYPE_CHECKING:
    from vitald.checks.database_url import DatabaseURL

# Bytes 18 and 19 of the header: the file format versions for writing and reading, 2 with a
# write-ahead log. https://www.sqlite.org/fileformat2.html
_HEADER = 20
_WAL_VERSION = 2
_PROGRESS_STEPS = 10_000


class SQLite:
    """A SQLite file. Its connections are the handles that processes hold on it."""

    def __init__(self, url: DatabaseURL, query: str | None) -> None:
        self._path = _path(url)
        self._query = query
        self.title = f"SQLite {self._path}"

    def look(self, deadline: Deadline) -> Reading:
        try:
            Path(self._path).stat()
            mode = "mode=ro&immutable=1" if _is_closed_wal(self._path) else "mode=ro"
            self._ask(mode, deadline)
        except sqlite3.Error as error:
            deadline.left()  # a statement that was interrupted ran out of time
            raise UnhealthyError(str(error)) from error
        # The check's own handle is closed by now.
        handles = count_open_handles(self._path)
        return Reading(f"SQLite {sqlite3.sqlite_version}", handles, noun="open handle")

    def _ask(self, mode: str, deadline: Deadline) -> None:
        # A file name is only half of a URI: "?" and "%" in it are not ours.
        uri = f"file:{quote(self._path)}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=deadline.query_time())) as connection:
            connection.set_progress_handler(lambda: _is_over(deadline), _PROGRESS_STEPS)
            # "SELECT 1" would not touch the file.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if self._query is not None:
                connection.execute(self._query).fetchone()


def _path(url: DatabaseURL) -> str:
    """Return the file that a URL names: sqlite:///relative, sqlite:////absolute."""
    path = url.path.removeprefix("/")
    # SQLAlchemy's way to pass a URI on: sqlite:///file:/path?mode=ro&uri=true
    path = path.removeprefix("file:")
    if url.host or not path or path == ":memory:" or url.query.get("mode") == "memory":
        raise ValueError(
            "cannot check this SQLite URL: it names no file; write sqlite:////absolute/path"
        )
    return str(Path(path).absolute())


def _is_closed_wal(path: str) -> bool:
    """Tell whether the file uses a write-ahead log that is not there: nobody has it open.

    Opening such a file for reading would create the log and its index anew, owned by this user,
    and leave both behind. As immutable it is read without them.
    """
    if Path(f"{path}-wal").exists():
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        header = file.read(_HEADER)
    return len(header) == _HEADER and header[18] == _WAL_VERSION


def _is_over(deadline: Deadline) -> int:
    try:
        deadline.left()
    except TimeoutError:
        return 1
    return 0
