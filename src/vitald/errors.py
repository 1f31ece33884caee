"""The exceptions of vitald.

    VitaldError                 every message reads "cannot <verb> <thing>: <cause>"
    ├── ConfigError             the file is wrong; carries every fault        exit code 65
    ├── StartError              a socket cannot be bound, a sidecar runs      exit code 69
    ├── UnreachableError        no sidecar answers on the control socket      exit code 69
    ├── UsageError              the command line asks for something that
    │                           does not exist                                exit code 64
    └── ForwardError            a target did not take a batch; `retryable`

Bad packets raise nothing: they are counted under a reason (see `vitald.wire.parse`).
"""

from __future__ import annotations

import os


class VitaldError(Exception):
    """Base of all errors that vitald raises on purpose."""

    exit_code = 70


class ConfigError(VitaldError):
    """The configuration is refused; `faults` holds one line per fault."""

    exit_code = 65

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StartError(VitaldError):
    """The sidecar cannot start."""

    exit_code = 69


class UnreachableError(VitaldError):
    """No sidecar answers on the control socket."""

    exit_code = 69


class UsageError(VitaldError):
    """The command line names something that does not exist."""

    exit_code = 64


class ForwardError(VitaldError):
    """A target did not take a batch.

    `retryable` is False when sending the same bytes again cannot help (the target understood and
    refused); `retry_after` is in seconds, when the target named it.
    """

    def __init__(
        self, message: str, *, retryable: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


def system_cause(error: OSError) -> str:
    """Return what the system says went wrong, without the number, a path or an address."""
    # asyncio puts the address into its own wording of a failed connection.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower() or type(error).__name__
