"""docs/writing-a-check.md, done as it says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitald.checks.base import Observation
from vitald.checks.scheduler import Scheduler
from vitald.checks.spec import CheckSpec
from vitald.clock import SystemClock
from vitald.config import plugins
from vitald.config.load import load
from vitald.status import Status

DOCUMENT = Path(__file__).parents[2] / "docs/writing-a-check.md"


def files_of(document):
    """Return the files that the document shows: a name in backquotes, a colon, a code block."""
    return dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", document.read_text(), re.DOTALL))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The document's package, installed as an installer would: its module and its entry points."""
    files = files_of(DOCUMENT)
    site = tmp_path / "site-packages"
    dist_info = site / "acme_backup-1.0.dist-info"
    dist_info.mkdir(parents=True)
    (site / "acme_backup.py").write_text(files["acme_backup.py"])
    entry = re.search(
        r'^\[project\.entry-points\."vitald\.checks"\]\n(\w+) = "(.*)"',
        files["pyproject.toml"],
        re.MULTILINE,
    )
    (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-backup\nVersion: 1.0\n")
    (dist_info / "entry_points.txt").write_text(f"[vitald.checks]\n{entry[1]} = {entry[2]}\n")
    monkeypatch.syspath_prepend(str(site))
    plugins._installed.cache_clear()
    yield site
    plugins._installed.cache_clear()
    sys.modules.pop("acme_backup", None)


@pytest.fixture
def backup(tmp_path):
    path = tmp_path / "latest.tar"
    path.write_bytes(b"x" * 100)
    return path


def spec_from(tmp_path, backup):
    """Read the document's configuration, with a backup that exists here."""
    text = files_of(DOCUMENT)["vitald.yaml"].replace("/srv/backup/latest.tar", str(backup))
    config_file = tmp_path / "vitald.yaml"
    config_file.write_text(text)
    (entry,) = load(config_file).config.checks
    return CheckSpec.of(entry.name, entry.type, entry.plugin, entry.options)


def test_the_documents_own_test_passes(installed):
    (installed / "test_acme_backup.py").write_text(files_of(DOCUMENT)["test_acme_backup.py"])
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme_backup.py"],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_the_class_is_found_through_its_entry_point(installed):
    assert "backup" in plugins.names(plugins.CHECKS)
    assert plugins.load(plugins.CHECKS, "backup").__module__ == "acme_backup"


@pytest.mark.parametrize("place", ["thread", "process"])
async def test_a_users_own_check_runs_like_ours(installed, tmp_path, backup, place, monkeypatch):
    check = plugins.load(plugins.CHECKS, "backup")
    monkeypatch.setattr(check, "isolation", place)
    spec = spec_from(tmp_path, backup)
    assert (spec.isolation, spec.interval, spec.options["warning"]) == (place, 300.0, 86400.0)
    emitted = []
    scheduler = Scheduler(
        [spec],
        clock=SystemClock(),
        emit=lambda observations, _: emitted.extend(observations),
        on_transition=lambda *_: None,
    )
    fresh = await scheduler.run_now("nightly")
    assert (fresh.status, fresh.message) == (Status.HEALTHY, "latest.tar is 0.0 h old")
    assert fresh.observations["backup_bytes"] == 100.0
    tags = (("check", "nightly"),)
    assert emitted[1:] == [
        Observation("backup_bytes", 100.0, tags),
        Observation("backup_status", 0.0, tags),
    ]
    made = time.time() - 30 * 3600
    await asyncio.to_thread(os.utime, backup, (made, made))
    old = await scheduler.run_now("nightly")
    assert (old.raw.status, old.raw.message) == (Status.WARNING, "latest.tar is 30.0 h old")
    await asyncio.to_thread(backup.unlink)
    gone = await scheduler.run_now("nightly")
    assert gone.raw.message == f"cannot read {backup}: no such file or directory"
    await scheduler.stop()


def test_a_wrong_option_of_a_users_own_check_is_refused_with_its_place(installed, tmp_path):
    from vitald.errors import ConfigError

    config_file = tmp_path / "vitald.yaml"
    config_file.write_text("checks:\n  nightly: {type: backup, path: /x, warnin: 1d}\n")
    with pytest.raises(ConfigError, match=r'vitald\.yaml:2:.*did you mean "?warning'):
        load(config_file)


def test_the_document_names_every_attribute_that_a_class_may_have():
    from vitald.checks import spec

    source = Path(spec.__file__).read_text()
    attributes = set(re.findall(r'getattr\(check, "(\w+)"', source)) | {"Options"}
    shown = set(re.findall(r"^\| `(\w+)` \| ", DOCUMENT.read_text(), re.MULTILINE))
    assert attributes <= shown
