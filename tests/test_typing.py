"""The types of the client's API, as mypy and pyright see them from a service."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "typing"
ACCEPTED, REJECTED = FOLDER / "accepted.py", FOLDER / "rejected.py"

# The oldest Python, whose types every newer one has.
PYTHON = "3.10"


def expected(path):
    """Return the numbers of the lines that are marked."""
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "# error:" in line}


def missing(name, cause):
    """Skip, naming what is missing; fail where CI says that everything is there."""
    message = f"{name}: {cause}"
    if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def run(*command, **environment):
    return subprocess.run(
        list(map(str, command)),
        cwd=FOLDER,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Return mypy's errors by file and line, checked as a service is: by its own settings."""
    if importlib.util.find_spec("mypy") is None:
        missing("mypy", "not installed (make types installs it)")
    folder = tmp_path_factory.mktemp("mypy")
    settings = folder / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = true\npython_version = {PYTHON}\nfollow_imports = silent\n"
        f"cache_dir = {folder / 'cache'}\n[mypy-statsd.*]\nignore_missing_imports = true\n"
    )
    done = run(
        *(sys.executable, "-m", "mypy", "--config-file", settings, ACCEPTED, REJECTED),
        MYPYPATH=str(ROOT / "src"),
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = {}
    for name, line, text in re.findall(
        r"^(\w+\.py):(\d+): error: (.*)$", done.stdout, re.MULTILINE
    ):
        found.setdefault(name, {}).setdefault(int(line), text)
    return found


@pytest.fixture(scope="module")
def pyright(tmp_path_factory):
    """Return pyright's errors by file and line; it is strict with what must be accepted."""
    if importlib.util.find_spec("pyright") is None:
        missing("pyright", "not installed")
    folder = tmp_path_factory.mktemp("pyright")
    found = {}
    for path, mode in ((ACCEPTED, "strict"), (REJECTED, "standard")):
        service = folder / path.stem
        service.mkdir()
        shutil.copy(path, service)
        settings = {
            "extraPaths": [str(ROOT / "src")],
            "pythonVersion": PYTHON,
            "typeCheckingMode": mode,
            # As for mypy: `statsd` has no types, and what is shown here is ours.
            "reportMissingTypeStubs": "none",
        }
        (service / "pyrightconfig.json").write_text(json.dumps(settings))
        done = run(
            *(sys.executable, "-m", "pyright", "--outputjson", "--project", service),
            *("--pythonpath", sys.executable),
        )
        try:
            report = json.loads(done.stdout)
        except ValueError:  # its Node package is fetched when it first runs
            missing("pyright", (done.stdout + done.stderr).strip()[-500:])
        for each in report["generalDiagnostics"]:
            if each["severity"] == "error":
                line = each["range"]["start"]["line"] + 1
                found.setdefault(Path(each["file"]).name, {}).setdefault(line, each["message"])
    return found


@pytest.fixture(params=["mypy", pytest.param("pyright", marks=pytest.mark.server("pyright"))])
def errors(request):
    return request.getfixturevalue(request.param)


@pytest.mark.timeout(300)
def test_what_a_service_writes_has_the_types_that_it_says(errors):
    assert errors.get(ACCEPTED.name, {}) == {}


@pytest.mark.timeout(300)
def test_what_is_wrong_is_an_error_where_it_is_wrong_and_nowhere_else(errors):
    found = errors.get(REJECTED.name, {})
    surprises = {line: text for line, text in found.items() if line not in expected(REJECTED)}
    assert surprises == {}
    assert set(found) == expected(REJECTED)
