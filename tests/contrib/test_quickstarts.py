"""docs/integrations.md, followed with what is installed here; CI does it in fresh environments."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from quickstarts import Sidecar, follow, read_quickstarts

QUICKSTARTS = read_quickstarts()


@pytest.fixture
def sidecar(tmp_path):
    folder = tmp_path / "sidecar"
    folder.mkdir()
    sidecar = Sidecar(folder)
    yield sidecar
    sidecar.stop()


def test_every_framework_has_a_quickstart():
    titles = {quickstart.title for quickstart in QUICKSTARTS}
    assert titles >= {"FastAPI", "Starlette", "Flask", "Django"}
    assert all(quickstart.series for quickstart in QUICKSTARTS)


@pytest.fixture
def installed():
    """Check that a quickstart's packages and curl are here; skip, or fail where nothing may."""

    def check(requirements):
        names = [re.match(r"[\w-]+", requirement)[0] for requirement in requirements]
        missing = [name for name in names if not _is_installed(name)]
        if shutil.which("curl") is None:
            missing.append("curl")
        if missing:
            message = f"not installed: {', '.join(missing)}"
            if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)

    return check


def _is_installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.server("curl")
@pytest.mark.parametrize("quickstart", QUICKSTARTS, ids=lambda one: one.title)
def test_a_quickstart_does_what_it_says(quickstart, sidecar, installed, tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VITALD_URL": sidecar.url}
    with follow(quickstart, folder, environment, installed):
        sidecar.wait_for(quickstart.series, folder / "output.log")
