"""Where files are, when nobody says: standard library only, because every command imports it."""

from __future__ import annotations

import os
from pathlib import Path


def control_socket(explicit: str | None = None, configured: Path | None = None) -> Path:
    """Return the control socket's path.

    `--socket` (`explicit`), else `$VITALD_SOCKET`, else the file's `control_socket` (`configured`),
    else `/run/vitald/control.sock` for root, else the one in `$XDG_RUNTIME_DIR/vitald`, else
    `/tmp/vitald-$UID/control.sock`.
    """
    named = explicit or os.environ.get("VITALD_SOCKET")
    if named:
        return Path(named)
    if configured is not None:
        return configured
    if os.geteuid() == 0:
        return Path("/run/vitald/control.sock")
    runtime = _xdg("XDG_RUNTIME_DIR")
    if runtime is not None:
        return runtime / "vitald" / "control.sock"
    return Path(f"/tmp/vitald-{os.geteuid()}/control.sock")  # noqa: S108  the daemon checks its owner


def config_file(explicit: str | None = None) -> Path | None:
    """Return the configuration file to read, None where the built-in default is to be used.

    `-c` (`explicit`), else `$VITALD_CONFIG`, whether or not that file exists; else the first that
    exists of `./vitald.yaml`, `$XDG_CONFIG_HOME/vitald/config.yaml`, `/etc/vitald/config.yaml`.
    """
    named = explicit or os.environ.get("VITALD_CONFIG")
    if named:
        return Path(named)
    return next((path for path in usual_config_files() if os.path.lexists(path)), None)


def usual_config_files() -> tuple[Path, ...]:
    """Return where a configuration is looked for when none is named, best first."""
    home = _xdg("XDG_CONFIG_HOME") or _home(".config")
    return (Path("vitald.yaml"), home / "vitald" / "config.yaml", Path("/etc/vitald/config.yaml"))


def state_dir() -> Path:
    """Return where saved state goes when the file does not say."""
    if os.geteuid() == 0:
        return Path("/var/lib/vitald")
    return (_xdg("XDG_STATE_HOME") or _home(".local/state")) / "vitald"


def _xdg(variable: str) -> Path | None:
    # The XDG specification: a path that is not absolute is to be ignored.
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else None


def _home(below: str) -> Path:
    return Path(os.environ.get("HOME") or "/") / below
