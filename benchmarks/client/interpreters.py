"""The Pythons that clients are measured on, each with an environment that has the other clients.

What measures runs there with vitald from this checkout, so it imports nothing that is not in the
standard library, in vitald's client or in `requirements.txt`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.receivers import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The goals name it; beside it the newest one is measured.
NAMED = (3, 11)
OLDEST = (3, 10)
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_PROGRAM = re.compile(r"python3\.\d+")
# A run of one module takes a minute at most.
_PATIENCE = 240.0
# What would change a client's defaults.
_OPTIONS = ("VITALD_", "STATSD_", "DD_", "DATADOG_", "PROMETHEUS_", "PYTHON")

_PROBE = """
import ensurepip, json, platform, sys, sysconfig, venv
print(json.dumps({
    "version": sys.version_info[:3],
    "is_plain": platform.python_implementation() == "CPython"
    and sys.version_info.releaselevel == "final"
    and not sysconfig.get_config_var("Py_GIL_DISABLED"),
}))
"""


class Interpreter(NamedTuple):
    """A released CPython with a GIL, and its program."""

    version: tuple[int, ...]
    program: Path

    @property
    def title(self) -> str:
        """Return what a column is called."""
        return ".".join(map(str, self.version[:2]))


def chosen() -> list[Interpreter]:
    """Return the Pythons to measure on, the oldest first; this one when no other can be found."""
    own = Interpreter(sys.version_info[:3], Path(sys.executable))
    return choose(_installed()) or [own]


def choose(found: Iterable[Interpreter]) -> list[Interpreter]:
    """Return the named one and the newest one of those found, of each its latest release.

    Where the named one is missing, the oldest stands in for it.
    """
    latest: dict[tuple[int, ...], Interpreter] = {}
    for one in found:
        minor = one.version[:2]
        if minor >= OLDEST and (minor not in latest or one.version > latest[minor].version):
            latest[minor] = one
    if not latest:
        return []
    wanted = {NAMED if NAMED in latest else min(latest), max(latest)}
    return [latest[minor] for minor in sorted(wanted)]


def versions(pythons: Iterable[Interpreter]) -> str:
    """Return a sentence's part: CPython 3.11.7 and 3.13.0."""
    return "CPython " + " and ".join(".".join(map(str, one.version)) for one in pythons)


def _installed() -> Iterator[Interpreter]:
    """Yield what works of what is in PATH, under pyenv and under uv, and what runs this."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    folders = [
        Path(sys.base_prefix) / "bin",
        *map(Path, filter(None, os.environ.get("PATH", "").split(os.pathsep))),
        *pyenv.glob("versions/*/bin"),
        *uv.glob("*/bin"),
    ]
    programs = {
        program
        for folder in folders
        for program in folder.glob("python3.*")
        if _PROGRAM.fullmatch(program.name)
    }
    for program in sorted(programs):
        version = _version(program)
        if version is not None:
            yield Interpreter(version, program)


def _version(program: Path) -> tuple[int, ...] | None:
    """Return the version of a program that can make environments, None for any other."""
    command = [str(program), "-I", "-c", _PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None  # a shim of a version that is not there, or no program at all
    return tuple(answer["version"]) if answer["is_plain"] else None


class Environment:
    """An environment of one Python with the other clients, made when it is missing."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.title = interpreter.title
        version = ".".join(map(str, interpreter.version))
        home = cache_folder() / f"clients-{platform.machine()}-{version}"
        self._program = home / "bin/python"
        stamp = home / REQUIREMENTS.name
        if not stamp.exists() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
            self._install(interpreter, home)
            shutil.copy(REQUIREMENTS, stamp)

    def _install(self, interpreter: Interpreter, home: Path) -> None:
        commands: tuple[list[str | Path], ...] = (
            [interpreter.program, "-m", "venv", "--clear", home],
            [self._program, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchmarkError(
                    f"cannot install the other clients for Python {self.title}: "
                    f"{done.stderr.strip()[-2000:]}"
                )

    def measure(self, module: str, *arguments: object) -> Any:
        """Run a module of this package there; return what it prints, which is JSON."""
        return json.loads(
            self.run("-m", f"benchmarks.client.{module}", *map(str, arguments), cwd=ROOT)
        )

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """Return the output of this Python; raises BenchmarkError when it fails."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_OPTIONS)}
        command = [str(self._program), *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**kept, "PYTHONPATH": str(ROOT / "src")},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"cannot measure on Python {self.title}: no end") from None
        if done.returncode:
            raise BenchmarkError(
                f"cannot measure on Python {self.title}: {done.stderr.strip()[-2000:]}"
            )
        return done.stdout
