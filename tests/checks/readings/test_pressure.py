from __future__ import annotations

from pathlib import Path

import pytest

from vitald.checks.readings.pressure import Pressure, read_pressure

TEXT = """some avg10=0.50 avg60=1.25 avg300=0.02 total=3484615
full avg10=0.00 avg60=0.75 avg300=0.00 total=0
"""


def test_the_averages_of_the_last_minute_are_read(tree):
    assert read_pressure("memory", tree({"proc/pressure/memory": TEXT})) == Pressure(1.25, 0.75)


def test_old_kernels_have_no_full_line_for_the_processor(tree):
    root = tree({"proc/pressure/cpu": TEXT.splitlines()[0] + "\n"})
    assert read_pressure("cpu", root) == Pressure(1.25, None)


@pytest.mark.parametrize("text", ["", "\n", "rubbish\n", "none avg60=1\n"])
def test_what_is_no_pressure_is_none(tree, text):
    assert read_pressure("io", tree({"proc/pressure/io": text})) is None


@pytest.mark.parametrize("text", ["some avg60=x\n", "some\n", "some avg10=1\n"])
def test_a_line_without_the_average_has_none(tree, text):
    assert read_pressure("io", tree({"proc/pressure/io": text})) == Pressure(None, None)


def test_a_kernel_without_it_says_nothing(tmp_path):
    assert read_pressure("memory", tmp_path) is None


def test_a_file_that_cannot_be_read_says_nothing(tmp_path):
    # A kernel with PSI switched off has the files, and reading them fails: so does a directory.
    (tmp_path / "proc/pressure/memory").mkdir(parents=True)
    assert read_pressure("memory", tmp_path) is None


@pytest.mark.skipif(not Path("/proc/pressure/cpu").is_file(), reason="this kernel has no PSI")
def test_this_machines_pressure_is_a_percentage():
    pressure = read_pressure("cpu")
    assert 0 <= pressure.some <= 100
