"""Clients are measured on the Python that the goals name and on the newest one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.client import interpreters
from benchmarks.client.interpreters import Interpreter, choose, versions


def pythons(*texts):
    return [Interpreter(tuple(map(int, text.split("."))), Path(text)) for text in texts]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (["3.12.1", "3.11.7", "3.13.0", "3.10.13"], ["3.11.7", "3.13.0"]),
        (["3.11.2", "3.11.10", "3.11.9"], ["3.11.10"]),
        (["3.14.0", "3.12.1", "3.13.0"], ["3.12.1", "3.14.0"]),
        (["3.10.1", "3.9.18", "3.100.0", "3.11.0"], ["3.11.0", "3.100.0"]),
        (["3.9.18"], []),
        ([], []),
    ],
)
def test_the_named_one_and_the_newest_are_chosen_each_in_its_latest_release(found, wanted):
    assert choose(pythons(*found)) == pythons(*wanted)


def test_versions_are_said_in_full():
    assert versions(pythons("3.11.7", "3.13.0")) == "CPython 3.11.7 and 3.13.0"


def test_a_python_that_works_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    broken = tmp_path / "versions/3.11.0/bin/python3.11"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    programs = {one.program for one in interpreters._installed()}
    assert broken not in programs
    assert programs <= set(Path(sys.base_prefix, "bin").glob("python3.*"))


def test_where_no_other_can_be_found_this_one_is_measured(monkeypatch):
    monkeypatch.setattr(interpreters, "_installed", lambda: iter(()))
    assert interpreters.chosen() == [Interpreter(sys.version_info[:3], Path(sys.executable))]
