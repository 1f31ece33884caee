"""What mypy makes of a user's tests."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

EXAMPLE = """
from vitald import Client
from vitald.testing import (
    ANY, ManualClock, Metric, NullClient, Record, RecordingClient, Sidecar, approx, only,
)
from vitald.testing.arguments import ClientOptions


def build(options: ClientOptions) -> Client:
    return Client(**options)


def serve(client: Client) -> None:
    client.incr("jobs")


def test_types(vitald_recorder: RecordingClient, vitald_sidecar: Sidecar) -> None:
    serve(NullClient())
    serve(vitald_recorder)
    serve(vitald_sidecar.client(tags={"env": "test"}))
    vitald_recorder.assert_incr("jobs", 3, tags={"queue": "mail", "id": 5})
    vitald_recorder.assert_incr("jobs", ANY, tags=["queue:mail"])
    vitald_recorder.assert_gauge("depth", approx(3, rel=0.1), tags=only({"queue": ANY}))
    vitald_recorder.assert_timing("render", count=2, tags=ANY)
    records: list[Record] = vitald_recorder.records("jobs*", type="counter", tags=None)
    value: float | str = records[0].value
    vitald_sidecar.rotate()
    metric: Metric = vitald_sidecar.metric("jobs", window=60, tags={"queue": "mail"})
    total: float = metric.sum
    median: float | None = metric.quantile(0.5)
    metrics: list[Metric] = vitald_sidecar.metrics("*")
    with Sidecar(engine="python", clock=ManualClock(), series_limit=5) as sidecar:
        url: str = sidecar.url
    with RecordingClient(prefix="app") as recorder:
        lines: list[str] = recorder.lines()
"""

WRONG = {
    'Sidecar(engine="fast")': "arg-type",
    'RecordingClient().assert_incr("jobs", tags=5)': "arg-type",
    'RecordingClient(prefx="app")': "call-arg",
    'NullClient(hold="long")': "arg-type",
    "Sidecar().client(tags=5)": "arg-type",
    "RecordingClient().assert_gauge()": "call-arg",
    "Sidecar().metric()": "call-arg",
    'NullClient().inc("jobs")': "attr-defined",
}


def test_the_kit_is_typed_and_mistakes_are_found(tmp_path):
    pytest.importorskip("mypy")
    path = tmp_path / "example.py"
    path.write_text(EXAMPLE + "\n".join(WRONG))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^example\.py:(\d+): error: .*\[(.+)\]$", done.stdout, re.MULTILINE)
    first = EXAMPLE.count("\n") + 1
    expected = [(str(first + place), kind) for place, kind in enumerate(WRONG.values())]
    assert found == expected, done.stdout + done.stderr
