"""docs/testing.md, done as it says, in fresh processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs/testing.md").read_text()
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", DOCUMENT, re.DOTALL))
# The last block of each language: the script with a sidecar, and the ini file.
LAST = dict(re.findall(r"```(\w+)\n(.*?)```", DOCUMENT, re.DOTALL))


@pytest.fixture
def directory(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _without_times(text):
    return re.sub(r"value: [\d.]+", "value: …", text)


def run(directory, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("ini", ["", LAST["ini"]])
def test_the_first_test_passes(directory, ini):
    (directory / "pytest.ini").write_text(ini)
    output = run(directory, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
    assert "5 passed" in output


def test_the_tests_with_unittest_pass(directory):
    assert "Ran 2 tests" in run(directory, "-m", "unittest", "test_unittest_shop")


def test_the_test_of_an_instrumented_application_passes(directory):
    output = run(directory, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_web.py")
    assert "1 passed" in output


def test_the_misspelled_name_fails_with_the_message_that_is_shown(directory):
    shown = re.search(r"it fails with:\n\n((?:    .*\n)+)", DOCUMENT)[1]
    message = re.sub(r"^    ", "", shown, flags=re.MULTILINE)
    script = (
        "from shop import Shop\n"
        "from vitald.testing import RecordingClient\n"
        "recorder = RecordingClient()\n"
        "Shop(recorder).order('de', items=3)\n"
        "try:\n"
        "    recorder.assert_incr('order_total')\n"
        "except AssertionError as error:\n"
        "    print(error)\n"
    )
    output = run(directory, "-c", script)
    assert _without_times(output) == _without_times(message)


def test_the_script_with_a_sidecar_runs(tmp_path):
    assert "with Sidecar() as sidecar:" in LAST["python"]
    (tmp_path / "script.py").write_text(LAST["python"])
    run(tmp_path, "script.py")
