"""Fixtures for pytest; loaded by its entry point wherever vitald is installed.

    vitald_recorder     a `RecordingClient`
    vitald_sidecar      a `Sidecar`; --vitald-engine, or `vitald_engine` in the ini file, chooses
                        its engine

Both are made for one test. Nothing of vitald is imported before a test asks for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitald.testing.recorder import RecordingClient
    from vitald.testing.sidecar import Sidecar

_ENGINES = ("auto", "python", "native")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the engine."""
    text = "engine of the fixture vitald_sidecar: auto, python or native"
    parser.getgroup("vitald").addoption("--vitald-engine", choices=_ENGINES, help=text)
    parser.addini("vitald_engine", text, default="auto")


@pytest.fixture
def vitald_recorder() -> Iterator[RecordingClient]:
    """Give a client that sends nothing and asserts what it would have sent."""
    from vitald.testing.recorder import RecordingClient  # noqa: PLC0415  see above

    with RecordingClient() as client:
        yield client


@pytest.fixture
def vitald_sidecar(pytestconfig: pytest.Config) -> Iterator[Sidecar]:
    """Give a real aggregator, on addresses of its own."""
    from vitald.testing.sidecar import Sidecar  # noqa: PLC0415  see above

    engine = pytestconfig.getoption("--vitald-engine") or pytestconfig.getini("vitald_engine")
    if engine not in _ENGINES:
        known = ", ".join(_ENGINES)
        raise pytest.UsageError(f"cannot use vitald_engine = {engine}: it is none of {known}")
    with Sidecar(engine=engine) as sidecar:
        yield sidecar
