"""docs/commands.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vitald.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"


def test_the_page_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate-command-docs", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_command_has_a_section():
    sections = {line for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    assert sections == {f"## vitald {name}" for name in COMMANDS}
