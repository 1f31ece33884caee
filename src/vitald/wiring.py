"""Config into plain values: what the daemon hands to constructors that do not know Config."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from vitald.aggregator.listener import Listener
from vitald.aggregator.sockets import Address
from vitald.checks.spec import CheckSpec
from vitald.config.options import ForwarderOptions, arguments
from vitald.errors import StartError
from vitald.metric import MetricType, SeriesKey
from vitald.wire.dialect import Dialect
from vitald.wire.encode import clean_name, clean_tag, metric_line
from vitald.wire.tags import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitald.aggregator.engine import Engine
    from vitald.aggregator.forwarders.base import Forwarder
    from vitald.checks.base import Observation
    from vitald.config.listen import Listener as Listen
    from vitald.config.model import Config, ForwarderEntry

# What the sidecar tells its own engine: a negative gauge is a value, never a delta.
OBSERVATION_DIALECT = Dialect(gauge_sign="absolute")


def specs_of(config: Config) -> list[CheckSpec]:
    """Return what the scheduler runs.

    Of several checks of one type none speaks for the whole machine: their numbers are tagged.
    """
    specs = [
        CheckSpec.of(entry.name, entry.type, entry.plugin, entry.options) for entry in config.checks
    ]
    count = Counter(spec.type for spec in specs)
    return [spec if count[spec.type] == 1 else replace(spec, machine_wide=False) for spec in specs]


def listener_of(listen: Listen, config: Config, engine: Engine) -> Listener:
    """Bind one address; raises StartError."""
    return Listener(
        Address(*listen.address),
        engine,
        dialect=config.dialect(listen),
        receive_buffer=listen.receive_buffer,
        mode=listen.mode,
        readers=listen.readers,
    )


def build_forwarder(entry: ForwarderEntry, config: Config) -> Forwarder:
    """Build one target; raises StartError when its class refuses its options."""
    try:
        built = entry.plugin(host=config.host, **arguments(entry.options, ForwarderOptions))
    except Exception as error:
        raise StartError(f"cannot build forwarder {entry.name}: {error}") from error
    return cast("Forwarder", built)


def queue_of(options: ForwarderOptions) -> dict[str, Any]:
    """Return what the dispatcher does about a target that does not take an interval."""
    return {name: getattr(options, name) for name in ForwarderOptions.model_fields}


def series_of(observation: Observation) -> SeriesKey:
    """Return the series that an observation's line will enter."""
    name = clean_name(observation.name)
    tags = dict(clean_tag(key, value) for key, value in observation.tags)
    return SeriesKey(MetricType.GAUGE, name, canonical(tags))


def observation_lines(
    observations: Sequence[Observation], durations: Sequence[tuple[str, float]]
) -> bytes:
    """Return checks' numbers as lines: gauges, and `check_duration_seconds` as a distribution.

    A number that could not be read makes no line.
    """
    lines = [
        metric_line(each.name, repr(float(each.value)), "g", tags=each.tags)
        for each in observations
        if each.value is not None
    ]
    lines += [
        metric_line("check_duration_seconds", repr(seconds), "d", tags=[("check", name)])
        for name, seconds in durations
    ]
    return "\n".join(lines).encode()
