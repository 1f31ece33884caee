"""The choice of an engine; whether the native one is there is the tests' to say."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import vitald
from vitald.aggregator import engines
from vitald.aggregator.engines import VARIABLE, choose
from vitald.aggregator.python_engine import PythonEngine
from vitald.errors import StartError

CAUSE = "the native one is not built (No module named 'vitald._native')"


@pytest.fixture
def native(monkeypatch):
    """Give `vitald._native` a version, an error to raise when it is imported, or nothing."""

    def arrange(version=None, error=None):
        module = ModuleType("vitald._native")
        if version is not None:
            module.__version__ = version

        def import_module(name):
            if error is not None:
                raise error
            return module

        monkeypatch.setattr(engines, "import_module", import_module)
        monkeypatch.setattr(engines, "_native", lambda: "the native engine")

    return arrange


@pytest.fixture
def absent(native):
    native(error=ModuleNotFoundError("No module named 'vitald._native'"))


@pytest.fixture
def present(native):
    native(version=vitald.__version__)


def test_auto_takes_the_native_engine_where_it_is_built(present):
    assert choose("auto", {}) == ("native", "", "the native engine")
    assert str(choose("auto", {})) == "native"


def test_auto_takes_the_python_engine_elsewhere_and_says_why(absent):
    assert choose("auto", {}) == ("python", CAUSE, PythonEngine)
    assert str(choose("auto", {})) == f"python: {CAUSE}"


def test_the_python_engine_can_be_asked_for(present):
    assert choose("python", {}) == ("python", "the configuration says so", PythonEngine)


@pytest.mark.parametrize(
    ("variable", "configured", "expected"),
    [
        ("python", "native", ("python", f"{VARIABLE} says so")),
        ("native", "python", ("native", f"{VARIABLE} says so")),
        ("auto", "python", ("native", "")),
        ("", "python", ("python", "the configuration says so")),
    ],
)
def test_the_variable_comes_before_the_configuration(variable, configured, expected, present):
    assert choose(configured, {VARIABLE: variable})[:2] == expected


def test_a_native_engine_that_is_asked_for_and_not_built_is_refused(absent):
    with pytest.raises(StartError) as caught:
        choose("native", {})
    assert str(caught.value) == (
        f"cannot start: the configuration wants the native engine, but {CAUSE}"
    )
    with pytest.raises(StartError, match="cannot start: VITALD_ENGINE wants the native engine"):
        choose("auto", {VARIABLE: "native"})


def test_an_unknown_engine_is_refused(present):
    with pytest.raises(StartError) as caught:
        choose("auto", {VARIABLE: "rust"})
    assert str(caught.value) == "cannot start: VITALD_ENGINE must be auto, python or native"


def test_a_native_engine_of_another_version_is_none(native):
    native(version="0.0.9")
    reason = choose("auto", {}).reason
    assert reason == f"the native one is of version 0.0.9, not {vitald.__version__}"


@pytest.mark.parametrize(
    "error", [ImportError("undefined symbol: x"), OSError("no"), RuntimeError("no")]
)
def test_a_broken_native_engine_is_none(native, error):
    native(error=error)
    assert choose("auto", {}).reason == f"the native one cannot be loaded ({error})"


def test_a_native_engine_that_has_no_version_is_none(native):
    native()
    assert choose("auto", {}).reason.startswith("the native one cannot be loaded (")


def test_what_python_says_of_a_module_that_is_not_there_is_the_cause(monkeypatch):
    monkeypatch.setitem(sys.modules, "vitald._native", None)
    assert choose("auto", {}).reason.startswith("the native one is not built (")


def test_a_python_without_a_gil_never_loads_what_is_built_for_others(present, monkeypatch):
    monkeypatch.setattr(sys, "abiflags", "t")
    assert choose("auto", {}).reason == "the native one needs a Python with a GIL"
