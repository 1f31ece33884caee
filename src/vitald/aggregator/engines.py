"""Which engine aggregates: the native one where it is built, else the reference engine."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

import vitald
from vitald.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vitald.aggregator.engine import Engine

Choice = Literal["auto", "python", "native"]

# Comes before the configuration's `engine`.
VARIABLE = "VITALD_ENGINE"

_NATIVE = "vitald._native"


class Chosen(NamedTuple):
    """An engine's name, why it is this one, and what builds it (see `PythonEngine`)."""

    name: Literal["python", "native"]
    reason: str
    build: Callable[..., Engine]

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


def choose(configured: Choice, environment: Mapping[str, str] = os.environ) -> Chosen:
    """Return the engine that is asked for; raises StartError where that cannot be had.

    `auto` has no reason to give for the native engine, and the cause why it is not there for the
    other one.
    """
    wanted = environment.get(VARIABLE) or configured
    asked_by = VARIABLE if environment.get(VARIABLE) else "the configuration"
    if wanted not in get_args(Choice):
        raise StartError(f"cannot start: {VARIABLE} must be auto, python or native")
    if wanted == "python":
        return Chosen("python", f"{asked_by} says so", _python())
    cause = why_not_native()
    if not cause:
        return Chosen("native", "" if wanted == "auto" else f"{asked_by} says so", _native())
    if wanted == "native":
        raise StartError(f"cannot start: {asked_by} wants the native engine, but {cause}")
    return Chosen("python", cause, _python())


def why_not_native() -> str:
    """Say why the native engine cannot be had; nothing where it can."""
    if "t" in sys.abiflags:
        # It would be loaded all the same, and end the process: its ABI is that of the others.
        return "the native one needs a Python with a GIL"
    try:
        version = import_module(_NATIVE).__version__
    except ModuleNotFoundError as error:
        return f"the native one is not built ({error})"
    except Exception as error:
        return f"the native one cannot be loaded ({error})"
    if version != vitald.__version__:
        return f"the native one is of version {version}, not {vitald.__version__}"
    return ""


def _python() -> Callable[..., Engine]:
    from vitald.aggregator.python_engine import PythonEngine  # noqa: PLC0415  only where it runs

    return PythonEngine


def _native() -> Callable[..., Engine]:
    found = import_module("vitald.aggregator.native_engine")
    return cast("Callable[..., Engine]", found.NativeEngine)
