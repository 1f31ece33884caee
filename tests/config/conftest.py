from __future__ import annotations

import importlib
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from vitald.config import plugins
from vitald.config.load import read
from vitald.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROBE = """
from typing import Literal

from pydantic import Field, field_validator, model_validator

from vitald.config.options import (
    CheckOptions, Duration, ForwarderOptions, Percent, Secret, SecretURL, Section, Size
)


class Window(Section):
    begin: int = Field(0, ge=0, le=23, description="First hour.")
    end: int = Field(24, description="Hour after the last.")


class Options(CheckOptions):
    url: SecretURL | None = Field(None, description="Where.")
    token: Secret | None = Field(None, description="A secret.")
    headers: dict[str, Secret] = Field({}, description="Secrets by name.")
    warning: Percent | None = Field(None, description="Limit.")
    size: Size = Field(1024, le=4096, description="A size.")
    latency: Duration | Percent | None = Field(None, description="Either.")
    text: str = Field("x", min_length=1, max_length=8, description="A text.")
    words: tuple[str, ...] = Field((), max_length=3, description="Texts.")
    ratio: float = Field(0.5, gt=0, lt=1, description="A number.")
    times: int = Field(1, description="A whole number.")
    loud: bool = Field(False, description="A switch.")
    color: Literal["red", "green"] = Field("red", description="A word.")
    code: int | str = Field(0, description="A number or a text.")
    window: Window = Field({}, description="A section.", validate_default=True)

    @field_validator("times")
    @classmethod
    def _even(cls, times):
        if times == 13:
            raise RuntimeError("an unlucky validator")
        return times

    @model_validator(mode="after")
    def _fits(self):
        if self.loud and self.color == "green":
            raise ValueError("green is never loud")
        return self


class ProbeCheck:
    \"\"\"A check for tests.\"\"\"

    Options = Options


class ProbeForwarder:
    \"\"\"A forwarder for tests.\"\"\"

    class Options(ForwarderOptions):
        api_key: Secret = Field(description="Key.")


class WithoutOptions:
    pass


class WrongOptions:
    Options = ForwarderOptions


not_a_class = 5
"""

PROBE_ENTRY_POINTS = """
[vitald.checks]
probe = {module}:ProbeCheck
bare = {module}:WithoutOptions
wrong = {module}:WrongOptions
number = {module}:not_a_class
missing = {module}:NotThere
absent = {module}_absent:Check
stops = {module}_stops:Check
disk = {module}:ProbeCheck

[vitald.forwarders]
probe = {module}:ProbeForwarder
"""


class Site:
    """A directory on sys.path with real distributions in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: list[str] = []

    def install(self, name: str, version: str, entry_points: str, **modules: str) -> None:
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8"
        )
        (info / "entry_points.txt").write_text(entry_points, "utf-8")
        for module, source in modules.items():
            (self.path / f"{module}.py").write_text(source, "utf-8")
            self.modules.append(module)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path, monkeypatch):
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    site = Site(path)
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)
    plugins.refresh()


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """The types `probe` (a check and a forwarder), and some broken ones, of acme-probe 1.2."""
    path = tmp_path_factory.mktemp("site")
    sys.path.insert(0, str(path))
    Site(path).install(
        "acme-probe",
        "1.2",
        PROBE_ENTRY_POINTS.format(module="acme_probe"),
        acme_probe=PROBE,
        acme_probe_stops="raise SystemExit(3)",
    )
    plugins.refresh()
    yield "acme_probe"
    sys.path.remove(str(path))
    sys.modules.pop("acme_probe", None)
    plugins.refresh()


@pytest.fixture
def config(tmp_path, probe):
    """Read a text as vitald.yaml; without `checks` in it, it has none."""

    def config(text: str, permissions: int = 0o600):
        text = textwrap.dedent(text)
        if "checks:" not in text:
            text = f"{text.rstrip()}\nchecks: {{}}\n"
        return read(text.encode(), "vitald.yaml", tmp_path, permissions)

    return config


@pytest.fixture
def faults(config) -> Callable[[str], list[str]]:
    """Return the faults of a text, without the file's name."""

    def faults(text: str) -> list[str]:
        try:
            config(text)
        except ConfigError as error:
            return [fault.removeprefix("vitald.yaml:") for fault in error.faults]
        return []

    return faults
