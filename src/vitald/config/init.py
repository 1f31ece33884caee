"""The file that `vitald config init` prints: what people change first, and how to write it."""

from __future__ import annotations

from importlib import resources


def init() -> str:
    """Return a commented configuration that loads as it is and means the built-in default."""
    return resources.files("vitald.config").joinpath("example.yaml").read_text("utf-8")
