from __future__ import annotations

import json
import os
import threading

import pytest

from vitald.checks.readings import Performance, performance
from vitald.checks.readings.between import SHORTEST
from vitald.checks.readings.filesystems import read_space
from vitald.checks.readings.performance import Spaces
from vitald.checks.threads import DaemonPool
from vitald.clock import SystemClock


@pytest.fixture(scope="module")
def document():
    return Performance(SystemClock()).document()


def test_a_document_has_every_section_and_is_json(document):
    assert list(document) == ["cpu", "memory", "disk", "disk_io", "network", "process"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_first_document_already_has_rates(document):
    assert document["cpu"]["interval_seconds"] == pytest.approx(SHORTEST, abs=0.5)
    assert 0 <= document["cpu"]["usage_percent"] <= 100
    assert document["cpu"]["cores"] >= 1
    assert all(disk["read_bytes_per_second"] is not None for disk in document["disk_io"])


def test_the_process_is_the_one_that_asks(document):
    process = document["process"]
    assert process["pid"] == os.getpid()
    assert process["rss_bytes"] > 10 << 20
    assert process["open_files"] >= 3
    assert process["cpu_percent"] >= 0


def test_the_root_file_system_is_listed_with_its_space(document):
    root = next(disk for disk in document["disk"] if disk["path"] == "/")
    assert root["usage_bytes"] + root["free_bytes"] <= root["size_bytes"]
    assert 0 <= root["usage_percent"] <= 100


def test_memory_adds_up(document):
    memory = document["memory"]
    assert memory["usage_bytes"] + memory["available_bytes"] == memory["total_bytes"]


def test_loopback_is_listed_and_not_added_to_what_leaves_the_machine(document):
    network = document["network"]
    others = [one for one in network["interfaces"] if one["interface"] != "lo"]
    assert len(others) < len(network["interfaces"])
    assert network["receive_bytes_per_second"] == sum(
        one["receive_bytes_per_second"] or 0 for one in others
    )


def test_rates_hold_for_the_time_since_the_last_document_unless_that_is_long(fake_time):
    made = Performance(fake_time, pause=fake_time.jump)
    made.document()
    fake_time.jump(10)
    assert made.document()["cpu"]["interval_seconds"] == 10
    fake_time.jump(3600)
    assert made.document()["cpu"]["interval_seconds"] == SHORTEST


def test_a_file_system_that_hangs_holds_up_one_answer_and_is_asked_again_when_it_returns(
    monkeypatch,
):
    answers, asked = threading.Event(), []

    def hangs(path):
        asked.append(path)
        answers.wait(10)
        return read_space("/")

    monkeypatch.setattr(performance, "read_space", hangs)
    spaces = Spaces(DaemonPool("test-space", 2), seconds=0.05)
    assert spaces.of("/dead") is None
    assert spaces.of("/dead") is None
    assert asked == ["/dead"]
    answers.set()
    while (space := spaces.of("/dead")) is None:
        pass
    assert space.size > 0
    assert spaces.of("/dead") is not None


def test_a_file_system_that_cannot_be_read_has_no_numbers(tmp_path):
    spaces = Spaces(DaemonPool("test-space", 2))
    assert spaces.of(str(tmp_path / "nothing")) is None
    assert spaces.of(str(tmp_path)) is not None
