"""The examples of docs/client.md and docs/declared.md run, in their order, and drop nothing."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, language):
    """Return the line and the source of every code block of a page."""
    text = (DOCS / page).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, one.start(1)), one[1]) for one in found]


@pytest.fixture
def run(udp, monkeypatch):
    """Run a page's blocks as one program; return its names."""
    made = []

    def run(page, **given):
        monkeypatch.setenv("VITALD_URL", udp.url)
        names = {"__name__": "example", **given}
        made.append(names)
        for line, source in blocks(page, "python"):
            # An error shows the page's own line.
            exec(compile("\n" * line + source, DOCS / page, "exec"), names)
        return names

    yield run
    for names in made:
        names["client"].close()


def test_the_examples_of_the_client(run, udp):
    names = run("client.md", user_id=17, mutex=threading.Lock())
    client = names["client"]
    assert client.flush()
    assert (client.stats()["dropped"], client.stats()["faults"]) == ({}, [])
    lines = udp.lines()
    for line in (
        "bytes:4096|c|#queue:mail",
        "users:17|s",
        "render:12.5",
        "_e{6,9}:deploy|v2 is out|t:success",
        "_sc|db|0|m:answers",
        "tasks_completed_total:1|c|#task:send_mail",
        "locks_released_total:1|c|#lock:db",
    ):
        assert any(line in sent for sent in lines), line


def test_the_examples_of_declared_metrics(run, udp, capsys):
    names = run("declared.md")
    names["basket"](17)
    client = names["client"]
    assert client.flush()
    # The one mistake that the page makes on purpose.
    assert client.stats()["dropped"] == {"bad_argument": 1}
    lines = udp.lines()
    assert "jobs_total:1001|c|#queue:mail" in lines
    assert "queue_depth:7|g" in lines
    assert [line.partition("|")[2] for line in lines if line.startswith("render:")] == [
        "ms|#page:start", "ms|#page:basket",
    ]  # fmt: skip
    ((_, table),) = blocks("declared.md", "markdown")
    assert capsys.readouterr().out == table + "\n"


def test_the_test_that_declared_metrics_show(run):
    run("declared.md")["test_a_job_is_counted"]()
