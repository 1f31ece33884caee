"""The command line: one command, one file; the rest is `app`, `control` and `terminal`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from vitald.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except ModuleNotFoundError as error:
        # `pip install vitald` brings the client alone, but this script all the same.
        if error.name != "click":
            raise
        sys.stderr.write(
            "vitald: cannot run: only the client is installed\n"
            "hint: pip install 'vitald[sidecar]'\n"
        )
        code = 69
    sys.exit(code)
