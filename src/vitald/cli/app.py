"""The root of the command line: finds commands, turns errors into one line and an exit code.

Exit codes: 0 fine, 64 usage, 65 bad data or configuration, 69 sidecar unreachable, 70 a fault of
vitald's own, 74 stdout cannot be written, 130 interrupted, 141 the reader of stdout has gone.
`health` alone answers with its statuses' numbers, where 3 stands for every failure to know.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import TYPE_CHECKING, Any

import click

from vitald import __version__
from vitald.cli.options import Settings, color_option, socket_option
from vitald.cli.terminal.output import OutputError, discard, finish, talk
from vitald.cli.terminal.text import ASCII_ERRORS
from vitald.errors import ConfigError, VitaldError

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 64
SOFTWARE = 70
INTERRUPTED = 130

# Each name is a module of this package that defines `command`; in the order of the help text.
COMMANDS = (
    "run",
    "demo",
    "metrics",
    "health",
    "stats",
    "top",
    "export",
    "check",
    "ledger",
    "send",
    "reload",
    "config",
    "doctor",
    "completion",
)


# What a group without a command raises from click 8.2 on; before, click prints the help itself.
_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())

# Commands of which every failure is one and the same answer: not to know is a health status too.
FAILURES = {"health": 3}


class CommandsOnDemand(click.Group):
    """A group that imports a command's module when that command is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vitald.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        ctx.ensure_object(Settings).command = name or ""
        return name, command, rest


@click.group(cls=CommandsOnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vitald", message="%(prog)s %(version)s")
@socket_option
@color_option
def vitald() -> None:
    """Ask the vitald sidecar what it knows, or run it."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what it printed is flushed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII_ERRORS)
    try:
        code = _dispatch(arguments)
        finish()
    except OutputError as error:
        discard()
        if not error.gone:
            talk(f"vitald: {error}")
        return error.exit_code
    return code


def _dispatch(arguments: Sequence[str]) -> int:
    settings = Settings()
    code: object
    try:
        code = vitald.main(list(arguments), prog_name="vitald", standalone_mode=False, obj=settings)
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _NO_ARGUMENTS as error:
        talk(error.format_message())
        code = USAGE
    except click.ClickException as error:
        code = FAILURES.get(settings.command, _misread(error))
    except OutputError:
        raise
    except VitaldError as error:
        code = FAILURES.get(settings.command, _failed(error))
    except SystemExit as leave:  # click answers a shell that asks for completions
        code = leave.code
    except Exception:
        import traceback

        talk(traceback.format_exc().rstrip())
        code = FAILURES.get(settings.command, SOFTWARE)
    return code if isinstance(code, int) else 0


def _misread(error: click.ClickException) -> int:
    talk(f"vitald: cannot read the command line: {_lowered(error.format_message())}")
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is not None:
        talk(f"hint: see {ctx.command_path} --help")
    return USAGE


def _failed(error: VitaldError) -> int:
    faults: Sequence[str] = getattr(error, "faults", ())
    if isinstance(error, ConfigError):
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        talk(f"vitald: cannot use the configuration: {count}")
    else:
        talk(f"vitald: {error}")
    for fault in faults:
        talk(f"  {fault}")
    hint = getattr(error, "hint", "")
    if hint:
        talk(f"hint: {hint}")
    return error.exit_code


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
