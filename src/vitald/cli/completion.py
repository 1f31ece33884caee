"""`vitald completion`: what a shell needs to complete commands, options, checks and metrics."""

from __future__ import annotations

import click

# \b keeps click from filling the lines below it.
HELP = """Print the completion script for a SHELL.

\b
bash:  source <(vitald completion bash)
zsh:   source <(vitald completion zsh)
fish:  vitald completion fish | source
"""


@click.command(help=HELP, short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    from click.shell_completion import get_completion_class

    from vitald.cli.app import vitald
    from vitald.cli.terminal.output import write

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"{shell} is no shell that this version of click completes")
    complete = completer(vitald, {}, "vitald", "_VITALD_COMPLETE")
    # Not `source()`: for bash it runs the bash of this machine to ask for its version.
    write(complete.source_template % complete.source_vars() + "\n")
