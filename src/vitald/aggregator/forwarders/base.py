"""What a forwarder is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vitald.aggregator.interval import Interval


class Forwarder(Protocol):
    """One target. Queueing, retrying and counting are the dispatcher's, never a forwarder's.

    The class is found through the entry-point group `vitald.forwarders`; its attribute `Options`
    is a pydantic model (a subclass of `vitald.config.options.ForwarderOptions`), and it is built as
    `cls(host=..., **arguments(options, ForwarderOptions))`: the model's own fields as keywords.

    Some intervals come a second time, corrected, when late samples with a time of their own changed
    them. An attribute `takes_corrections` that is False keeps those away: for targets that add what
    they get. These take `interval.late` instead.

    A forwarder that cannot express something counts it by reason in a mapping `skipped`, which the
    statistics show; having none is fine.
    """

    async def send(self, interval: Interval) -> None:
        """Deliver one interval with its own timestamp, or raise `ForwardError`.

        A retry calls it again with the same interval: what a target already took must be harmless
        to send twice. Encoding runs off the event loop.
        """
        ...
