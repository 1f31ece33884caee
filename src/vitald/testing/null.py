"""A client for code that has to be given one where nobody looks at metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitald.client.client import Client
from vitald.testing.arguments import arguments
from vitald.testing.inline import forget_everything

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from vitald.testing.arguments import ClientOptions


class NullClient(Client):
    """Takes everything that a `Client` takes and keeps nothing; no thread, no socket.

    It is a `Client`: arguments mean the same, handles, blocks and decorators work, timers measure.
    Its environment is not looked at.
    """

    def __init__(self, url: str | None = None, **options: Unpack[ClientOptions]) -> None:
        super().__init__(**arguments(url, options))
        forget_everything(self._flusher)

    def __repr__(self) -> str:
        return "NullClient()"
