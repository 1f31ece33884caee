"""What `doctor` looks at. Each probe returns findings and changes nothing; none of them raises."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vitald.cli.control import NoAnswerError, Sidecar
from vitald.cli.document import mapping
from vitald.cli.document import text as text_of
from vitald.cli.terminal.units import Unit, human
from vitald.config.paths import control_socket
from vitald.errors import VitaldError

if TYPE_CHECKING:
    from vitald.cli.document import Document
    from vitald.config.listen import ListenAddress
    from vitald.config.model import Config

FINE, WARNING, BROKEN = 0, 1, 2

# Modules that a type needs beside the sidecar's own, by check type or by a URL's scheme.
DRIVERS = {
    "docker": ("docker", "docker"),
    "postgresql": ("psycopg", "vitald[postgresql]"),
    "postgres": ("psycopg", "vitald[postgresql]"),
    "mysql": ("pymysql", "vitald[mysql]"),
    "mariadb": ("pymysql", "vitald[mysql]"),
    "sqlite": ("sqlite3", ""),
}
_SIDECAR_MODULES = ("aiohttp", "pydantic", "yaml", "psutil", "cramjam")
_NATIVE_CURE = (
    "for the native engine install Rust 1.89 or newer, then vitald once more: "
    "pip install --force-reinstall --no-deps --no-cache-dir vitald"
)
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


class Finding(NamedTuple):
    """One thing that was looked at; `cure` says what to do about it."""

    subject: str
    code: int
    text: str
    cure: str = ""

    def document(self) -> Document:
        """Return the entry of a doctor document."""
        words = ("healthy", "warning", "critical")
        return {
            "subject": self.subject,
            "status": words[self.code],
            "code": self.code,
            "message": self.text,
            "cure": self.cure or None,
        }


def examine(path: Path | None, socket: str | None) -> list[Finding]:
    """Look at everything, the configuration first: it says where the rest is."""
    config, findings = configuration(path)
    configured = config.control_socket if config is not None else None
    place = control_socket(socket, configured)
    findings += socket_file(place)
    stats, reached = control(place)
    findings += reached
    findings += engine(config, stats)
    # Whoever has the addresses of a sidecar that does not answer: most likely it does itself.
    if config is not None and not any(found.code == BROKEN for found in reached):
        findings += addresses(config, stats)
    if config is not None:
        findings += receive_buffers(config, _RMEM_MAX)
    findings += losses(stats)
    findings += drivers(config)
    findings += clock()
    return findings


def configuration(path: Path | None) -> tuple[Config | None, list[Finding]]:
    """Load the configuration as `run` would."""
    subject = "configuration"
    try:
        from vitald.config.load import load

        loaded = load(path)
    except VitaldError as error:
        faults = getattr(error, "faults", None) or [str(error)]
        cure = "correct it; `vitald config check` names every fault"
        return None, [
            *(Finding(subject, BROKEN, fault) for fault in faults[:-1]),
            Finding(subject, BROKEN, faults[-1], cure),
        ]
    except ImportError as error:
        cure = "install the sidecar: pip install 'vitald[sidecar]'"
        return None, [Finding(subject, BROKEN, f"cannot be read: {error}", cure)]
    except Exception as error:
        text = f"cannot be read: {type(error).__name__}: {error}"
        return None, [Finding(subject, BROKEN, text, "a fault of vitald's own: report it")]
    where = str(loaded.path) if loaded.path else "none, the built-in default is in force"
    found = [Finding(subject, WARNING, warning) for warning in loaded.warnings]
    return loaded.config, [Finding(subject, FINE, where), *found]


def socket_file(path: Path) -> list[Finding]:
    """Look at the control socket's file: whoever may connect may reload and run checks."""
    subject = "control socket"
    try:
        found = path.lstat()
        directory = path.parent.stat()
    except FileNotFoundError:
        return []
    except OSError as error:
        cure = "ask as the user that the sidecar runs as"
        return [Finding(subject, WARNING, f"{path}: {error.strerror}", cure)]
    if not stat.S_ISSOCK(found.st_mode):
        return [Finding(subject, BROKEN, f"{path} is no socket", "move it away")]
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        text = f"{path} has mode {mode:04o}: others may command the sidecar"
        return [Finding(subject, WARNING, text, f"chmod 600 {path}")]
    if directory.st_mode & stat.S_IWOTH and not directory.st_mode & stat.S_ISVTX:
        text = f"{path.parent} is writable for everyone: anyone may put another socket there"
        return [Finding(subject, WARNING, text, f"chmod o-w {path.parent}")]
    return [Finding(subject, FINE, f"{path}, its owner's alone")]


def control(path: Path) -> tuple[Document, list[Finding]]:
    """Ask the sidecar how it is; an empty document where none answers."""
    try:
        stats = Sidecar(str(path), timeout=2.0).document("/v1/stats")
    except NoAnswerError as error:
        cause = str(error).partition(": ")[2]
        if error.is_hung:
            pid = _integer(Path(f"{path}.lock"))
            text = f"{f'process {pid}' if pid else 'it'} has {path} and does not answer: {cause}"
            cure = "it is stopped (kill -CONT), overloaded, or hangs: then restart it"
            return {}, [Finding("sidecar", BROKEN, text, cure)]
        return {}, [Finding("sidecar", WARNING, f"none at {path}: {cause}", error.hint)]
    except VitaldError as error:
        return {}, [Finding("sidecar", BROKEN, str(error))]
    up = human(stats.get("uptime_seconds"), Unit.SECONDS)
    return stats, [Finding("sidecar", FINE, f"answers, up {up}")]


def engine(config: Config | None, stats: Document) -> list[Finding]:
    """Say which engine runs, or would run here, and why."""
    subject = "engine"
    if stats:
        name, reason = text_of(stats.get("engine")) or "?", text_of(stats.get("engine_reason"))
        cure = _NATIVE_CURE if name == "python" and "native" in reason else ""
        return [Finding(subject, FINE, f"{name}: {reason}" if reason else name, cure)]
    try:
        from vitald.aggregator.engines import choose

        chosen = choose(config.engine if config is not None else "auto")
    except VitaldError as error:
        is_missing = "native engine" in str(error)
        cure = _NATIVE_CURE if is_missing else "set the variable to one of these, or unset it"
        return [Finding(subject, BROKEN, str(error), cure)]
    cure = _NATIVE_CURE if "native" in chosen.reason else ""
    return [Finding(subject, FINE, str(chosen), cure)]


def addresses(config: Config, stats: Document) -> list[Finding]:
    """See who has each listening address: the sidecar, nobody, or somebody else."""
    listeners = mapping(mapping(stats.get("ledger")).get("listeners"))
    findings = []
    for listener in config.listen:
        address = listener.address
        if stats:
            is_ours = str(address) in listeners
            findings.append(
                Finding("listening", FINE, f"{address}, the sidecar has it")
                if is_ours
                else Finding(
                    "listening",
                    WARNING,
                    f"{address} is configured, but the running sidecar does not have it",
                    "restart the sidecar: listeners do not change with a reload",
                )
            )
            continue
        taken = _taken(address)
        findings.append(
            Finding("listening", BROKEN, f"{address}: {taken}", "stop it, or listen elsewhere")
            if taken
            else Finding("listening", FINE, f"{address} is free")
        )
    return findings


def receive_buffers(config: Config, rmem_max: Path) -> list[Finding]:
    """Compare the configured receive buffers with what the kernel grants (see socket(7))."""
    wanted = max(
        (
            listener.receive_buffer
            for listener in config.listen
            if listener.address.scheme in {"udp", "unixgram"}
        ),
        default=0,
    )
    limit = _integer(rmem_max)
    if not wanted or limit is None:
        return []
    if limit >= wanted:
        granted = human(wanted, Unit.BYTES)
        return [Finding("receive buffer", FINE, f"{granted}, the kernel grants it")]
    text = (
        f"{human(wanted, Unit.BYTES)} wanted, the kernel grants {human(limit, Unit.BYTES)}: "
        "bursts are lost sooner"
    )
    return [Finding("receive buffer", WARNING, text, f"sysctl -w net.core.rmem_max={wanted}")]


def losses(stats: Document) -> list[Finding]:
    """Report what the kernel has dropped before the sidecar could read it."""
    ledger = mapping(stats.get("ledger"))
    dropped = ledger.get("kernel_dropped")
    if not isinstance(dropped, int) or dropped <= 0:
        return []
    received = human(ledger.get("datagrams_received"))
    text = f"the kernel dropped {human(dropped)} datagrams beside {received} received"
    cure = "raise receive_buffer, or send fewer and fuller datagrams"
    return [Finding("losses", WARNING, text, cure)]


def drivers(config: Config | None) -> list[Finding]:
    """Import what the configured checks and the sidecar itself need."""
    wanted = dict.fromkeys(_SIDECAR_MODULES, ("the sidecar", "vitald[sidecar]"))
    for entry in config.checks if config is not None else ():
        for key in (entry.type, _scheme(entry.options)):
            if key in DRIVERS:
                module, package = DRIVERS[key]
                wanted[module] = (f"check {entry.name}", package)
    missing = []
    for module, (needed_by, package) in wanted.items():
        cause = _import_error(module)
        if cause:
            cure = f"pip install '{package}'" if package else "use a Python that has it"
            text = f"{needed_by} needs {module}: {cause}"
            missing.append(Finding("drivers", BROKEN, text, cure))
    return missing or [Finding("drivers", FINE, ", ".join(sorted(wanted)))]


def clock() -> list[Finding]:
    """Ask the kernel whether the clock is kept in step (adjtimex(2), which needs no privilege)."""
    state = _adjtimex()
    if state is None:
        return []
    unsynchronised, offset = state
    if unsynchronised:
        text = "the wall clock is not synchronised: timestamps of other machines will not match"
        return [Finding("clock", WARNING, text, "run a time service, such as chrony")]
    return [Finding("clock", FINE, f"synchronised, off by about {human(offset, Unit.SECONDS)}")]


def _taken(address: ListenAddress) -> str:
    """Say why an address cannot be bound, or nothing. What is bound here is let go at once."""
    import socket

    if address.path:
        return _socket_taken(address)
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind)
        for family, _, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as probe:
                if kind == socket.SOCK_STREAM:
                    # As servers do; connections that linger are no hindrance.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _socket_taken(address: ListenAddress) -> str:
    import socket

    path = Path(address.path)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return "there is a file that is no socket"
        kind = socket.SOCK_DGRAM if address.scheme == "unixgram" else socket.SOCK_STREAM
        with socket.socket(socket.AF_UNIX, kind) as probe, suppress(OSError):
            probe.settimeout(1)
            probe.connect(address.path)
            return "somebody listens there"
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    return "" if os.access(path.parent, os.W_OK) else f"{path.parent} is not writable"


def _scheme(options: Any) -> str:
    """Return the scheme of a check's URL, which may be a secret: no more of it is looked at."""
    url = getattr(options, "url", "")
    reveal = getattr(url, "get_secret_value", None)
    word = str(reveal() if reveal is not None else url).partition(":")[0]
    return word.partition("+")[0].lower()


def _import_error(module: str) -> str:
    import importlib

    try:
        importlib.import_module(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _integer(path: Path) -> int | None:
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None


def _adjtimex() -> tuple[bool, float] | None:
    """Return whether the clock is unsynchronised and its estimated error in seconds."""
    import ctypes

    fields = ("offset", "freq", "maxerror", "esterror")

    class Timex(ctypes.Structure):
        # struct timex of <sys/timex.h> as far as `status`; the rest is room for the kernel.
        _fields_ = [
            ("modes", ctypes.c_uint),
            *((name, ctypes.c_long) for name in fields),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_byte * 512),
        ]

    timex = Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    unsynchronised = bool(timex.status & 0x40) or state == 5  # STA_UNSYNC; TIME_ERROR
    return unsynchronised, timex.esterror / 1e6
