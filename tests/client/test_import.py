"""What importing the client brings along, in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = {
    "yaml", "psutil", "click", "pydantic", "aiohttp", "rich", "asyncio",
    "typing", "dataclasses", "logging", "inspect", "encodings.idna", "urllib.parse",
}  # fmt: skip


def modules_after(statement):
    script = (
        f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import vitald.client",
        "from vitald import Client",
        "from vitald.client.operations import Operations",
        "from vitald import Client; c = Client(hold=0); c.incr('a'); c.flush(); c.close()",
    ],
)
def test_the_client_imports_little_and_not_even_statsd(statement):
    assert not modules_after(statement) & (FORBIDDEN | {"statsd"})


def test_a_subclass_of_statsd_imports_what_statsd_does():
    ours = modules_after("from vitald.client import StatsClient")
    theirs = modules_after("import statsd")
    assert theirs <= ours
    foreign = {name for name in ours - theirs if not name.startswith("vitald")}
    assert not foreign & FORBIDDEN


def test_a_name_that_is_not_there_is_an_attribute_error():
    import vitald.client

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        vitald.client.nothing  # noqa: B018  the look-up is the test


def test_the_wire_package_imports_nothing():
    assert modules_after("import vitald.wire") == {"vitald", "vitald.wire", "__future__"}
