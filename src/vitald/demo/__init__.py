"""`vitald demo`: the sidecar, a sample service that fires real packets, and what the CLI says."""

from __future__ import annotations

from vitald.demo.show import run

__all__ = ["run"]
