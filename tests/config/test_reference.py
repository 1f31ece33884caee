from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from vitald.config import plugins
from vitald.config.entries import CHECKS, FORWARD
from vitald.config.model import Config
from vitald.config.reference import reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_in_docs_is_what_the_model_says():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/generate-docs", "--check"],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_page_has_every_key_and_every_type():
    page = reference()
    for name in Config.model_fields:
        assert f"\n| `{name}` | " in page
    for kind in (CHECKS, FORWARD):
        for name in plugins.built_in(kind.group):
            assert f"\n### `type: {name}`\n" in page


def test_every_row_says_type_default_and_meaning():
    for row in re.findall(r"(?m)^\| `.*$", reference()):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) in {4, 5}
        assert all(cells), row


def test_the_page_names_no_place_of_the_machine_that_made_it(monkeypatch):
    before = reference()
    monkeypatch.setenv("HOME", "/somewhere/else")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/else")
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert reference() == before
