"""The whole configuration: one field per key, with its default and what it means.

The reference page, `config show` and the JSON schema are made from these fields. A `Config` is
frozen and does nothing; the daemon acts on it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import core_schema

from vitald.config import paths
from vitald.config.listen import Http, Listener, check_socket_path
from vitald.config.options import CheckOptions, Duration, ForwarderOptions, Section
from vitald.config.units import write_duration
from vitald.wire.dialect import Dialect, GaugeSign, TagFormat

# In a class with a field named `type`, the word means that field.
PluginClass: TypeAlias = type[Any]

WINDOWS = (10.0, 60.0, 300.0, 900.0, 3600.0)
LONGEST_WINDOW = 7 * 86400.0

# What the built-in default watches: this machine.
DEFAULT_CHECKS: dict[str, dict[str, object]] = {
    "disk": {"type": "disk", "path": "/"},
    "memory": {"type": "memory"},
    "cpu": {"type": "cpu"},
    "disk_io": {"type": "disk_io"},
}


@dataclass(frozen=True)
class Entry:
    """One entry of `checks` or `forward`: its name, its type, the type's class, valid options."""

    name: str
    type: str
    plugin: PluginClass
    options: Any

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> core_schema.CoreSchema:
        # The loader makes entries, because it alone knows where they stand.
        return core_schema.is_instance_schema(cls)


@dataclass(frozen=True)
class CheckEntry(Entry):
    """An entry of `checks`."""

    options: CheckOptions


@dataclass(frozen=True)
class ForwarderEntry(Entry):
    """An entry of `forward`."""

    options: ForwarderOptions


def key(default: Any = ..., *, reload: bool = False, **more: Any) -> Any:
    """Describe one key; `reload` says that SIGHUP applies it, all others need a restart."""
    extra = {"reload": reload, **more.pop("extra", {})}
    if "default_factory" in more:
        return Field(json_schema_extra=extra, **more)
    return Field(default, json_schema_extra=extra, **more)


class Limits(Section):
    """What may come in before it is refused or put together."""

    series: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description=(
            "Series (name, type and tags) that are kept apart; further ones are added up in one "
            "series, `vitald.overflow`, so that totals stay exact."
        ),
    )
    tags: int = Field(
        default=32, ge=0, le=1000, description="Tags that a line may have; more reject the line."
    )
    name_length: int = Field(
        default=255,
        ge=1,
        le=8192,
        description="Bytes that a name or a tag may have; more reject the line.",
    )


class Config(Section):
    """Everything that a configuration file can say."""

    interval: Duration = key(
        10.0,
        description="How often the open slot is sealed, added to the windows and forwarded.",
    )
    windows: tuple[Duration, ...] = key(
        default_factory=lambda earlier: default_windows(earlier.get("interval", 10.0)),
        min_length=1,
        max_length=16,
        description=(
            "The rolling windows that questions are answered over, each a multiple of `interval`. "
            "Left out, they are the default ones, each rounded up to a multiple of `interval`."
        ),
        extra={"shown": f"[{', '.join(map(write_duration, WINDOWS))}]"},
    )
    gauge_sign: GaugeSign = key(
        "delta",
        description=(
            "What a signed gauge (`+5`, `-5`) means: `delta` changes the last value, as StatsD "
            "has it; `absolute` sets it, as DogStatsD has it."
        ),
    )
    tag_formats: tuple[TagFormat, ...] = key(
        ("graphite",),
        description=(
            "Spellings of tags inside the name that are understood: graphite `a;t=1`, influx "
            "`a,t=1`, librato `a#t=1`, signalfx `a[t=1]`. DogStatsD's `|#t:1` always is."
        ),
    )
    listen: tuple[Listener, ...] = key(
        ({"url": "udp://127.0.0.1:8125"},),
        description="Where services send their packets: a list of URLs or of sections.",
        extra={"shown": "[udp://127.0.0.1:8125]", "takes": "list of URLs or sections"},
    )
    control_socket: Path | None = key(
        None,
        description=(
            "The socket that commands ask the sidecar on; `--socket` and `$VITALD_SOCKET` come "
            "first. Commands do not read this file: with another path here they need one of these."
        ),
        extra={
            "shown": "/run/vitald/control.sock for root, else $XDG_RUNTIME_DIR/vitald/control.sock"
            " or /tmp/vitald-$UID/control.sock"
        },
    )
    http: Http = key(
        None,
        description=(
            "HTTP over TCP for Prometheus, probes and questions: `off`, `on` (127.0.0.1:8127) "
            "or HOST:PORT. It changes nothing and asks for no password."
        ),
        extra={"shown": "off"},
    )
    http_hosts: tuple[str, ...] = key(
        (),
        description=(
            "Host names, besides localhost, that a browser may use for `http`. IP addresses always "
            "may; other names are refused, because any web page could make one up."
        ),
    )
    host: str = key(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=255,
        description="Name of this machine in documents and in what is forwarded.",
        extra={"shown": "the machine's host name"},
    )
    state_dir: Path = key(
        default_factory=paths.state_dir,
        description="Directory for state that outlives the sidecar; nothing is kept there yet.",
        extra={
            "shown": "/var/lib/vitald for root, else $XDG_STATE_HOME/vitald or "
            "~/.local/state/vitald"
        },
    )
    limits: Limits = key({}, description="What may come in before it is refused or put together.")
    series_expiry: Duration = key(
        3600.0,
        description=(
            "A series without a sample for this long is forgotten; never before it has left the "
            "longest window."
        ),
    )
    set_exact_limit: int = key(
        1000,
        ge=0,
        le=1_000_000,
        description="Members up to which a set is counted exactly; beyond, within about 2 %.",
    )
    histogram_scale: int = key(
        6,
        ge=0,
        le=8,
        description=(
            "Resolution of timers, histograms and distributions: at 6 every quantile is within "
            "0.55 %. One more halves the error and doubles the memory."
        ),
    )
    engine: Literal["auto", "python", "native"] = key(
        "auto",
        description=(
            "What aggregates: `native` is the fast engine, there when vitald was installed with a "
            "Rust toolchain; `python` is the reference engine, always there; `auto` takes the "
            "native one if it is there. `$VITALD_ENGINE` comes first."
        ),
    )
    shutdown_timeout: Duration = key(
        5.0,
        description="Time for delivering what is queued when the sidecar is told to stop.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = key(
        "info", reload=True, description="Least severity that is written to stderr."
    )
    checks: Annotated[tuple[CheckEntry, ...], WithJsonSchema({})] = key(
        (),
        reload=True,
        description="What is looked at, by name: see the types of checks.",
        extra={"shown": "this machine's disk, memory, cpu and disk_io"},
    )
    forward: Annotated[tuple[ForwarderEntry, ...], WithJsonSchema({})] = key(
        (),
        reload=True,
        description="Where every interval is sent, by name: see the types of forwarders.",
        extra={"shown": "{}"},
    )

    def dialect(self, listener: Listener) -> Dialect:
        """Return what a listener accepts."""
        return Dialect(
            gauge_sign=listener.gauge_sign or self.gauge_sign,
            tag_formats=frozenset(
                self.tag_formats if listener.tag_formats is None else listener.tag_formats
            ),
            name_length=self.limits.name_length,
            tags=self.limits.tags,
        )

    @field_validator("interval")
    @classmethod
    def _interval(cls, interval: float) -> float:
        return _between(interval, 0.1, 3600.0)

    @field_validator("series_expiry")
    @classmethod
    def _expiry(cls, expiry: float) -> float:
        return _between(expiry, 1.0, 366 * 86400.0)

    @field_validator("shutdown_timeout")
    @classmethod
    def _shutdown(cls, timeout: float) -> float:
        return _between(timeout, 0.0, 600.0)

    @field_validator("windows")
    @classmethod
    def _windows(cls, windows: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        interval = info.data.get("interval")
        if interval is None:
            return windows
        odd = [window for window in windows if not _is_multiple(window, interval)]
        if odd:
            listed = ", ".join(map(write_duration, odd))
            verb = "is no multiple" if len(odd) == 1 else "are no multiples"
            raise ValueError(f"{listed} {verb} of the interval, {write_duration(interval)}")
        if max(windows) > LONGEST_WINDOW:
            raise ValueError(f"must not be longer than {write_duration(LONGEST_WINDOW)}")
        return tuple(sorted(set(windows)))

    @field_validator("listen")
    @classmethod
    def _resolved(cls, listen: tuple[Listener, ...], info: ValidationInfo) -> tuple[Listener, ...]:
        """Give every listener the global choices that it does not make itself."""
        choices = {name: info.data.get(name) for name in ("gauge_sign", "tag_formats")}
        return tuple(
            listener.model_copy(
                update={n: v for n, v in choices.items() if getattr(listener, n) is None}
            )
            for listener in listen
        )

    @field_validator("host", "http_hosts")
    @classmethod
    def _host(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if not name.isprintable() or " " in name:
                raise ValueError("a host name has no blanks and no control characters")
        return value

    @field_validator("control_socket", "state_dir")
    @classmethod
    def _beside_the_file(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        context = info.context if isinstance(info.context, dict) else {}
        if path is None:
            return None
        absolute = Path(context.get("directory") or ".").absolute() / path
        if info.field_name == "control_socket":
            check_socket_path(absolute)
        return absolute


class Changes(NamedTuple):
    """Keys in which two configurations differ: those that a reload applies, and the others."""

    applied: tuple[str, ...]
    need_restart: tuple[str, ...]


def changes(old: Config, new: Config) -> Changes:
    """Compare two configurations; entries of `checks` and `forward` are named one by one."""
    applied: list[str] = []
    need_restart: list[str] = []
    for name, info in Config.model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        extra = info.json_schema_extra
        if not isinstance(extra, dict) or not extra.get("reload"):
            need_restart.append(name)
        elif name in {"checks", "forward"}:
            entries = {e.name: e for e in before}, {e.name: e for e in after}
            names = dict.fromkeys([*entries[0], *entries[1]])
            applied += [f"{name}.{n}" for n in names if entries[0].get(n) != entries[1].get(n)]
        else:
            applied.append(name)
    return Changes(tuple(applied), tuple(need_restart))


def default_windows(interval: float) -> tuple[float, ...]:
    """Return the default windows, each rounded up to a multiple of `interval` (seconds)."""
    rounded = {
        window if _is_multiple(window, interval) else ceil(window / interval) * interval
        for window in WINDOWS
    }
    return tuple(sorted(rounded))


def _is_multiple(window: float, interval: float) -> bool:
    return window >= interval and abs(window / interval - round(window / interval)) < 1e-6


def _between(seconds: float, least: float, most: float) -> float:
    if not least <= seconds <= most:
        raise ValueError(f"must be from {write_duration(least)} to {write_duration(most)}")
    return seconds
